"""`wurao sign`, and that no command uses what is not signed where a key is configured."""

import ast
from importlib.resources import files
from pathlib import Path

import pytest

from bloom import snapshot
from bloom.bitmaps import Wills
from bloom.signatures import signature_of
from bloom.snapshot import SnapshotMeta
from tests.cli.command import Wurao

SHIPPED = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
KEY = "0123456789abcdef" * 4
HOUSE = Path(__file__).parents[2] / "stream"
GUARDED = {
    "load",
    "load_policy",
    "load_registry",
    "snapshot.read",
    "snapshot.write",
    "snapshots.save",
    "snapshots.read_newest_good",
    "save",
    "Base.mapped",
    "Base.kept",
}
"""Calls by which the files are read and written."""


@pytest.fixture
def wurao(tmp_path: Path) -> Wurao:
    """Commands with a key."""
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    (tmp_path / "policy.toml").write_text(SHIPPED, encoding="utf-8")
    meta = SnapshotMeta(cluster="c", created_ms=1, topics={})
    snapshot.write(tmp_path / "a.snapshot", meta=meta, wills=Wills(), records=())
    return Wurao(tmp_path, variables={"WURAO_INTEGRITY__KEY_FILE": str(tmp_path / "key")})


def test_what_is_signed_is_used_and_nothing_else(wurao: Wurao, tmp_path: Path) -> None:
    policy, kept = tmp_path / "policy.toml", tmp_path / "a.snapshot"
    decide = ("decide", "-", "--policy", policy, "--registry", kept)
    refused = wurao.run(*decide)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{policy}: is not signed" in refused.stderr
    checked = wurao.run("sign", "--check", policy, kept)
    assert checked.returncode == 1
    assert [line.split(": ")[1] for line in checked.stderr.splitlines()] == [str(policy), str(kept)]
    signed = wurao.run("sign", policy)
    assert (signed.returncode, signed.stdout) == (0, f"{signature_of(policy)}\n")
    assert KEY not in signature_of(policy).read_text(encoding="utf-8")
    for words in (decide, ("registry", "inspect", kept)):
        refused = wurao.run(*words)
        assert refused.returncode == 1
        assert f"{kept}: is not signed" in refused.stderr
    assert wurao.run("sign", kept, tmp_path / "none").returncode == 1, "one of two was not there"
    assert wurao.run("sign", "--check", policy, kept).stdout == f"{policy}: signed\n{kept}: signed\n"
    assert wurao.run(*decide).returncode == 0
    assert wurao.run("registry", "inspect", kept).returncode == 0
    policy.write_text(f"{SHIPPED}# a remark\n", encoding="utf-8")
    refused = Wurao(tmp_path, variables={**wurao.variables, "WURAO_POLICY__FILE": str(policy)}).run("filter")
    assert refused.returncode == 1
    assert f"{policy}: differs from what was signed" in refused.stderr


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "no key: name a file that holds one in integrity.key_file"),
        ({"KEY": "short"}, "integrity.key: key 1 has 5 bytes: give one of at least 32"),
        ({"KEY": ""}, "integrity.key_file: no key stands there"),
        ({"KEY_FILE": ""}, "integrity.key_file: no key stands there"),
        ({"KEY_FILE": "nowhere"}, "secret file nowhere: "),
    ],
)
def test_a_key_that_is_none_is_told_and_turns_nothing_off(variables: dict[str, str], told: str, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, variables={f"WURAO_INTEGRITY__{name}": value for name, value in variables.items()})
    ran = wurao.run("sign", tmp_path / "none")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert told in ran.stderr
    if variables:
        assert told in wurao.run("decide", "-").stderr


def test_whoever_reads_a_policy_a_snapshot_or_a_base_passes_the_keys() -> None:
    """A reader that forgot them would believe any file. Left out: who names shipped policies, and the demonstration."""
    forgetful = []
    for path in HOUSE.rglob("*.py"):
        folder = path.relative_to(HOUSE).parts[0]
        if folder in ("policy", "demo", "testbed"):
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) not in GUARDED:
                continue
            given = [*call.args, *(one.value for one in call.keywords)]
            if not any("keys" in ast.unparse(one) for one in given):
                forgetful.append(f"{path.relative_to(HOUSE)}:{call.lineno}: {ast.unparse(call)}")
    assert forgetful == []
