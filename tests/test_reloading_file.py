"""Files that are read again: a slip of the pen is told once, and what was read last stays in use."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stream.config import ConfigError
from stream.reloading_file import reloading_secret


def test_a_file_that_is_spoilt_or_gone_is_told_once_and_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with pytest.raises(ConfigError, match="No such file"):
        reloading_secret("a.setting", str(path))
    path.write_text("first\n", encoding="utf-8")
    present = reloading_secret("a.setting", str(path))
    assert present() == "first"
    for spoil, told in (
        (lambda: path.write_text("\n", encoding="utf-8"), "a.setting: .* is empty"),
        (lambda: path.write_bytes(b"\xff\xfe\xfd"), "give a UTF-8 text file"),
        (path.unlink, "No such file"),
    ):
        spoil()
        with capture_logs() as logged:
            assert [present() for _ in range(3)] == ["first"] * 3
        (line,) = logged
        assert line["log_level"] == "warning"
        with pytest.raises(ConfigError, match=told):
            raise ConfigError(line["error"])
    path.write_text("second\n", encoding="utf-8")
    assert present() == "second"


def test_a_file_that_could_not_be_read_is_read_again_once_its_rights_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("first", encoding="utf-8")
    present, read_text = reloading_secret("a.setting", str(path)), Path.read_text

    def read_where_allowed(self: Path, encoding: str) -> str:  # root may read everything
        if self.stat().st_mode & 0o400 == 0:
            raise PermissionError(13, "Permission denied", str(self))
        return read_text(self, encoding=encoding)

    monkeypatch.setattr(Path, "read_text", read_where_allowed)
    path.write_text("second", encoding="utf-8")
    path.chmod(0)
    assert present() == "first"
    path.chmod(0o600)
    assert present() == "second"
