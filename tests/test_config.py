"""The configuration: what it takes from where, and how it refuses."""

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect
from prometheus_client import CollectorRegistry

from stream.config import Config, ConfigError, HttpConfig, load
from stream.enforce.procedures import settings
from stream.filter.supervisor import Supervisor
from stream.health import Health, listen
from stream.policy.loading import load as load_policy


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
        ("WURAO_FILTER__WROKERS", "1", r"WURAO_FILTER__WROKERS: filter\.wrokers: .*did you mean workers\?"),
        ("WURAO_NOWHERE__X", "1", r"WURAO_NOWHERE__X: nowhere: .*there are: kafka, topics, "),
        ("WURAO_FILTER__DELIVERY", "perhaps", "there are: at-least-once, exactly-once"),
        ("WURAO_FILTER__DELIVERY", "exactly-onc", r"did you mean exactly-once\?"),
        ("WURAO_FILTER__BATCH_RECORDS_MAX", "99999999999999999999", r"BATCH_RECORDS_MAX: filter\..*<= 1000000"),
        ("WURAO_FILTER__DRAIN_TIMEOUT_MS", "86400000", r"filter\.drain_timeout_ms: .*<= 3600000"),
        ("WURAO_BOOTSTRAP", "x", "WURAO_KAFKA__BOOTSTRAP"),
        ("WURAO_KAFKA__SECURITY_PROTOCOL", "SASL_SSL", "kafka.sasl_username"),
    ],
)
def test_what_is_wrong_is_named(variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(None, {variable: value})


def test_every_number_has_a_least_and_a_most() -> None:
    unbounded = []
    for table in msgspec.structs.fields(Config):
        for field in inspect.type_info(table.type).fields:  # type: ignore[attr-defined]  # a struct each
            kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
            numbers = [kind for kind in kinds if isinstance(kind, inspect.IntType | inspect.FloatType)]
            unbounded += [f"{table.name}.{field.name}" for kind in numbers if kind.ge is None or kind.le is None]
    assert not unbounded


def test_a_setting_of_the_file_is_named_with_the_file_and_never_as_a_variable_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "wurao.toml"
    for text, told in [
        ("[kafak]\n", r"wurao\.toml: kafak: no such name; did you mean kafka\?"),
        ("kafka = 3\n", r"wurao\.toml: kafka: Expected a table"),
        ('[kafka]\nbootstrap = "x:y"\n', r"wurao\.toml: kafka\.bootstrap: 'x:y': 'y' is no port"),
    ]:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=told) as refused:
            load(file, {})
        assert "TOP LEVEL" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("WURAO_KAFKA__BOOTSTRAP", "127.0.0.1:99999", "'99999' is no port"),
        ("WURAO_KAFKA__BOOTSTRAP", "127.0.0.1:abc", "'abc' is no port"),
        ("WURAO_KAFKA__BOOTSTRAP", "127.0.0.1:", "is no port"),
        ("WURAO_KAFKA__BOOTSTRAP", f"127.0.0.1:{'9' * 5_000}", "is no port"),
        ("WURAO_KAFKA__BOOTSTRAP", ":9092", "no host"),
        ("WURAO_KAFKA__BOOTSTRAP", "", "no host"),
        ("WURAO_KAFKA__BOOTSTRAP", "one:9092,,two:9092", "no host"),
        ("WURAO_KAFKA__BOOTSTRAP", f"{'a' * 70}.example:9092", "1 to 63 letters"),
        ("WURAO_KAFKA__BOOTSTRAP", ".".join(["a" * 60] * 5), "at most 253"),
        ("WURAO_KAFKA__BOOTSTRAP", "a b:9092", "1 to 63 letters"),
        ("WURAO_KAFKA__BOOTSTRAP", "kafka://one:9092", "without a scheme"),
        ("WURAO_KAFKA__BOOTSTRAP", "::1", "in brackets"),
        ("WURAO_KAFKA__BOOTSTRAP", "[::1:9092", "host:port"),
        ("WURAO_METRICS__HOST", "a b", "metrics.host"),
        ("WURAO_API__HOST", "", "api.host"),
        ("WURAO_API__URL", "one:9660", "http://host:port"),
        ("WURAO_API__URL", "http://one:99999", "api.url"),
        ("WURAO_API__URL", "http://[::1", "no URL"),
        ("WURAO_CONNECTOR__SMTP_HOST", "mail host", "connector.smtp_host"),
        ("WURAO_CONNECTOR__SENDER", "wurao@例子.cn", "1 to 63 letters"),
        ("WURAO_CONNECTOR__SENDER", "wurao", "name@domain"),
        ("WURAO_TRACE__ENDPOINT", "http://:4318", "no host"),
        ("WURAO_TRACE__ENDPOINT", "http://u:SECRET@:4318", "no host"),
        ("WURAO_API__URL", "http://u:SEC RET@one", "no URL"),
        ("WURAO_API__URL", "http://u:SECRET@[::1", "no URL"),
    ],
)
def test_what_is_no_address_is_refused_before_a_network_is_asked_without_its_password(
    variable: str, value: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        load(None, {variable: value})
    assert str(refused.value).startswith(variable)
    assert "SEC" not in str(refused.value)


@pytest.mark.parametrize(
    "bootstrap", ["one", "one:9092", "one.example.:9092", "b-1.k_1.svc:9092, 10.0.0.1:9092", "[::1]:9092", "[fe80::1]"]
)
def test_addresses_that_clients_take_are_taken(bootstrap: str) -> None:
    assert load(None, {"WURAO_KAFKA__BOOTSTRAP": bootstrap}).kafka.bootstrap == bootstrap


async def test_a_taken_port_names_its_setting() -> None:
    metrics = CollectorRegistry()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        health = Health(
            host="127.0.0.1",
            port=port,
            setting="watch.port",
            http=HttpConfig(),
            metrics=metrics,
            not_ready=lambda: None,
        )
        with pytest.raises(ConfigError, match=rf"watch\.port: port {port} on .* taken .*WURAO_WATCH__PORT"):
            await health.start()
    with pytest.raises(ConfigError, match=r"api\.host: 192\.0\.2\.1 is no address of this machine"):
        listen("192.0.2.1", 0, setting="api.port")


def test_a_filter_whose_workers_would_find_their_ports_taken_does_not_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = load(None, {"WURAO_METRICS__PORT": str(port - 2), "WURAO_FILTER__WORKERS": "3"})
        with pytest.raises(ConfigError, match=rf"metrics\.port {port - 2} \+ worker [12]: .*WURAO_METRICS__PORT"):
            asyncio.run(Supervisor(config, load_policy(None)).run())
    config = load(None, {"WURAO_METRICS__PORT": "65534", "WURAO_FILTER__WORKERS": "3"})
    with pytest.raises(ConfigError, match="worker 2: no port"):
        asyncio.run(Supervisor(config, load_policy(None)).run())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("memmory_ms = 1\n", r"memmory_ms: no such name; did you mean memory_ms\?"),
        ('[[measures]]\nmeasure = "stpo"\n', r"measures\[0\]\.measure: 'stpo' .*did you mean stop\? "),
        ("[campaign]\nlead_days = 3\n", r"campaign\.lead_days: no such name"),
        ('[[terms]]\nclock = "forward"\nbasis = "x"\nlenght_ms = 3\n', r"terms\[0\]\.lenght_ms: no such name"),
        ('[[terms]]\nclock = "foward"\nbasis = "x"\n', "names foward, which no procedure has"),
        ("memory_ms = \n", "not TOML"),
        (f"memory_ms = {'1' * 5_000}\n", "not TOML"),
    ],
)
def test_an_unknown_name_among_the_terms_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "terms.toml"
    file.write_text(text, encoding="utf-8")
    config = load(None, {"WURAO_ENFORCE__TERMS": str(file)})
    with pytest.raises(ConfigError, match=rf"enforce\.terms: .*terms\.toml: .*{told}"):
        settings.terms(config, load_policy(None))


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


@pytest.mark.parametrize("text", ["[kafka\n", f"kafka = {'1' * 5_000}", "kafka = " + "[" * 100_000])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        load(file, {})
