"""Signed files: what was changed, forged or put in a file's place is refused, whatever its checksums say."""

import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bloom import base, snapshot
from bloom.base import Base, BaseError
from bloom.bitmaps import Wills
from bloom.number import Msisdn
from bloom.signatures import Keys, SignatureError, mapped, signature_of
from bloom.snapshot import SnapshotError, SnapshotMeta
from bloom.wills import ExpressionRow
from stream.policy.loading import load
from stream.policy.toml import PolicyError

SHIPPED = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
OLD, NEW = "0" * 63 + "1", "0" * 63 + "2"
KEYS = Keys.of_text(NEW)
META = SnapshotMeta(cluster="c", created_ms=1, topics={})
NUMBER = Msisdn(8613800138000)


def refusing() -> Wills:
    wills = Wills()
    wills.apply([ExpressionRow(NUMBER, "sms", "refuse", None, None)])
    return wills


def write_snapshot(path: Path, wills: Wills, keys: Keys | None) -> None:
    """A good snapshot by its checksums; without keys, one that anybody can make."""
    snapshot.write(path, meta=META, wills=wills, records=(), keys=keys)


def write_base(path: Path, wills: Wills, keys: Keys | None) -> None:
    """The same for a base."""
    Base.of(wills).write(path, keys)


def write_policy(path: Path, wills: Wills, keys: Keys | None) -> None:
    """The same for a policy; what is of other wills has a remark."""
    path.write_text(SHIPPED + ("" if wills.refusing_all_count("sms") else "# another\n"), encoding="utf-8")
    if keys is not None:
        keys.sign(path, path.read_bytes())


Write = Callable[[Path, Wills, Keys | None], None]
Read = Callable[[Path, Keys | None], object]

KINDS = [
    pytest.param(write_snapshot, snapshot.read, SnapshotError, id="snapshot"),
    pytest.param(
        write_base,
        Base.mapped,
        BaseError,
        id="base",
        marks=pytest.mark.skipif(not base.BUILT, reason="wurao_native is not built"),
    ),
    pytest.param(write_policy, load, PolicyError, id="policy"),
]


@pytest.mark.parametrize(("write", "read", "refusal"), KINDS)
def test_with_a_key_only_what_was_signed_is_used(
    write: Write, read: Read, refusal: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    write(path, refusing(), None)
    read(path, None)
    with pytest.raises(refusal, match=rf"{path}: is not signed: .* sign it: wurao sign {path}"):
        read(path, KEYS)
    write(path, refusing(), KEYS)
    read(path, KEYS)
    write(tmp_path / "forged", Wills(), None)
    (tmp_path / "forged").replace(path)
    read(path, None)
    with pytest.raises(refusal, match=rf"{path}: differs from what was signed"):
        read(path, KEYS)
    write(path, refusing(), Keys.of_text(OLD))
    with pytest.raises(refusal, match=r"signed by a key that is not among ours \(integrity\.key_file\)"):
        read(path, KEYS)
    signature_of(path).write_bytes(b"\xff" * 9_000)
    with pytest.raises(refusal, match=r"file\.hmac beside it is no signature"):
        read(path, KEYS)


def test_keys_are_rotated_by_signing_with_the_first_while_all_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    both = Keys.of_text(f"{NEW}\n{OLD}\n")
    Keys.of_text(OLD).sign(path, b"said")
    both.verify(path, b"said")
    both.sign(path, b"said")
    Keys.of_text(NEW).verify(path, b"said")
    with pytest.raises(SignatureError):
        Keys.of_text(OLD).verify(path, b"said")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_of_file_or_digest_is_found(data: bytes, at: int, bit: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    KEYS.sign(path, data)
    KEYS.verify(path, data)
    flipped = bytearray(data)
    flipped[at % len(data)] ^= 1 << bit
    with pytest.raises(SignatureError):
        KEYS.verify(path, bytes(flipped))
    said = bytearray(signature_of(path).read_bytes().rstrip())
    said[at % len(said)] ^= 1 << bit
    signature_of(path).write_bytes(said)
    with pytest.raises(SignatureError):
        KEYS.verify(path, data)


@pytest.mark.parametrize("text", ["", " \n", "short", f"{NEW}\nshort", "x" * 31])
def test_a_short_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"give one of at least 32 bytes, as `openssl rand -hex 32` makes") as refused:
        Keys.of_text(text)
    assert not [word for word in text.split() if word in str(refused.value)]


@pytest.mark.parametrize(("write", "read", "refusal"), KINDS[:2])
def test_no_file_is_used_that_another_user_could_change_after_it_was_verified(
    write: Write, read: Read, refusal: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path, refusing(), KEYS)
    if os.geteuid() == 0:
        os.chown(path, 4_321, -1)
    else:
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    read(path, None)
    with pytest.raises(refusal, match=r"belongs to uid \d+, who could change it while it is in use"):
        read(path, KEYS)


@pytest.mark.parametrize(("write", "read", "refusal"), KINDS[:2])
def test_no_file_is_used_that_anybody_may_write(
    write: Write, read: Read, refusal: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    write(path, refusing(), KEYS)
    path.chmod(0o602)
    with pytest.raises(refusal, match="anybody may write it"):
        read(path, KEYS)


@pytest.mark.skipif(not base.BUILT, reason="wurao_native is not built")
def test_what_was_verified_is_what_is_mapped_though_the_name_has_been_taken_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "base"
    write_base(path, refusing(), KEYS)
    verify = KEYS.verify

    def verified_then_replaced(of: Path, data: bytes) -> None:
        verify(of, data)
        write_base(path, Wills(), None)

    monkeypatch.setattr(KEYS, "verify", verified_then_replaced)
    assert Base.mapped(path, KEYS).numbers_count == 1
    assert Base.mapped(path).numbers_count == 0


@pytest.mark.skipif(not base.BUILT, reason="wurao_native is not built")
def test_a_base_that_is_not_signed_is_told_and_made_anew_from_the_snapshot(tmp_path: Path) -> None:
    path, origin = tmp_path / "base", bytes(32)
    Base.of(Wills(), origin=origin).write(path)
    told: list[str] = []
    for _ in range(2):
        kept = Base.kept(path, refusing(), origin=origin, keys=KEYS, on_problem=told.append)
        assert kept.numbers_count == 1
    assert len(told) == 1
    assert "is not signed" in told[0]
    with mapped(path, KEYS):
        pass


def test_a_snapshot_is_there_only_when_its_signature_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"

    def full(_: Path, __: bytes) -> None:
        assert not path.exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KEYS, "sign", full)
    with pytest.raises(OSError, match="No space"):
        write_snapshot(path, refusing(), KEYS)
    assert list(tmp_path.iterdir()) == []
