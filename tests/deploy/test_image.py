"""The image as it was built: what it runs, as whom, and what it does not have. test_processes.py puts it to work."""

import json
from typing import cast

import msgspec
import pytest

from tests.deploy.image import IMAGE, VERSION, ask, limits
from tests.deploy.test_compose import OURS

NEVER = ("cc", "gcc", "g++", "make", "cargo", "rustc", "maturin", "git")
"""Programs with which one would build something."""


class Settings(msgspec.Struct, frozen=True):
    User: str
    Entrypoint: list[str]
    Cmd: list[str]
    WorkingDir: str
    Volumes: dict[str, object]


class Image(msgspec.Struct, frozen=True):
    Config: Settings


def _said(program: str, *arguments: str) -> str:
    """What a program says in a container that is as narrow as a service's, and has no network."""
    narrow = ["run", "--rm", "--network=none", *limits(OURS["filter"]), f"--entrypoint={program}", IMAGE]
    ran = ask(*narrow, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _python(program: str) -> object:
    """What a Python program in the image prints, read as JSON."""
    return cast("object", json.loads(_said("python", "-c", program)))


def test_it_runs_wurao_without_rights_from_its_volume() -> None:
    (found,) = msgspec.json.decode(ask("image", "inspect", IMAGE).stdout, type=list[Image])
    assert found.Config == Settings("10001:10001", ["wurao"], ["--help"], "/var/lib/wurao", {"/var/lib/wurao": {}})


@pytest.mark.parametrize("command", sorted({"decide", "demo", "doctor", *(one.command[0] for one in OURS.values())}))
def test_every_command_is_there(command: str) -> None:
    assert f"usage: wurao {command}" in _said("wurao", command, "--help")


def test_it_decides_by_the_policy_that_it_carries_and_has_the_native_module() -> None:
    call = '{"kind":"call","id":"1","time":1795500000000,"to":"110"}'
    assert '"verdict":"allow"' in _said("wurao", "explain", "--json", call)
    assert _python("import json, wurao_native; print(json.dumps(wurao_native.__version__))") == VERSION


def test_it_has_no_tool_to_build_with_and_no_cache() -> None:
    program = f"import json, shutil; print(json.dumps([one for one in {NEVER} if shutil.which(one)]))"
    assert _python(program) == []
    left = "import json, pathlib; print(json.dumps([str(one) for folder in ('/root', '/tmp', '/var/lib/apt/lists') "
    left += "for one in pathlib.Path(folder).rglob('*') if one.is_file() and 'cache' in str(one)]))"
    assert _python(left) == []


def test_its_user_can_write_its_volume_and_no_code() -> None:
    program = (
        "import json, os; print(json.dumps([os.access(one, os.W_OK) for one in ('/var/lib/wurao', '/opt/wurao')]))"
    )
    assert _python(program) == [True, False]
