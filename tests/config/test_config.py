"""The configuration: what it takes from where, and how it refuses."""

from pathlib import Path

import pytest

from stream.config import Config, ConfigError, load


def test_without_anything_the_defaults_hold() -> None:
    assert load(None, {}) == Config()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "wurao.toml"
    file.write_text('[kafka]\nbootstrap = "one:9092"\n[filter]\nworkers = 3\n', encoding="utf-8")
    config = load(file, {"WURAO_KAFKA__BOOTSTRAP": "two:9092", "HOME": "/nowhere"})
    assert (config.kafka.bootstrap, config.filter.workers) == ("two:9092", 3)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("WURAO_FILTER__WORKERS", "none", "WURAO_FILTER__WORKERS"),
        ("WURAO_FILTER__WORKERS", "0", "filter.workers"),
        ("WURAO_FILTER__DELIVERY", "perhaps", "filter.delivery"),
        ("WURAO_FILTER__WROKERS", "1", "wrokers"),
        ("WURAO_NOWHERE__X", "1", "nowhere"),
        ("WURAO_BOOTSTRAP", "x", "WURAO_KAFKA__BOOTSTRAP"),
        ("WURAO_KAFKA__SECURITY_PROTOCOL", "SASL_SSL", "kafka.sasl_username"),
    ],
)
def test_what_is_wrong_is_named(variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(None, {variable: value})


def test_a_secret_comes_from_its_file_and_a_missing_one_is_named(tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_text("secret\n", encoding="utf-8")
    variables = {
        "WURAO_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "WURAO_KAFKA__SASL_USERNAME": "wurao",
        "WURAO_KAFKA__SASL_PASSWORD_FILE": str(kept),
    }
    load(None, variables)
    kept.unlink()
    with pytest.raises(ConfigError, match="password"):
        load(None, variables)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[kafka\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        load(file, {})
