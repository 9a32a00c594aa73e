"""A policy file reloaded: what may take the place of the policy in force, and when the file has changed."""

from pathlib import Path

from bloom.signatures import Keys, signature_of
from stream.policy.loading import load
from stream.policy.settings import Policy
from stream.policy.toml import PolicyError


def successor(file: str, old: Policy, keys: Keys | None = None) -> Policy | None:
    """The policy of the file, if it is another than the one in force.

    Raises `PolicyError` for one that cannot be used, and for another one under the same version: that version stands
    on decisions, and nobody could tell which of the two made them.
    """
    new = load(file, keys)
    if new.digest == old.digest:
        return None
    if new.version == old.version:
        raise PolicyError(
            f"{file}: another policy under the version {new.version}, which stands on decisions; give it its own"
        )
    return new


def identity_of(file: str) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when a file or its signature is written or replaced."""
    return tuple(_identity_of(path) for path in (Path(file), signature_of(Path(file))))


def _identity_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:  # a shipped policy, or there is none now
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
