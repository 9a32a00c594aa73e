"""TLS to a genuine broker: who is let in, who is believed, and what is said where one of the two is not so."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream import config as configuration
from stream.config import ConfigError
from stream.kafka import clients, credentials
from stream.kafka.reach import CannotStart, look
from stream.kafka.reason import reason
from stream.kafka.rights import FILTER
from stream.kafka.users import set_passwords
from stream.model.control import Finding, Party
from tests.certificates import Authority, Identity
from tests.cli.command import Wurao
from tests.deploy.manifests import DEPLOY
from tests.enforce.harness import EnforceProcess, finding_event, views, wait_until
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.testbed.listening import PASSWORD, listening_kafka, plain_logins

LISTENERS = {"SERVER": "SSL", "MUTUAL": "SSL", "LOGIN": "SASL_SSL", "EXPIRED": "SSL", "RENEWED": "SASL_SSL"}
SCRAM_LOGINS = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
KEY_PASSWORD = "open sesame"  # noqa: S105  # of a key that lives as long as a test
ELSE = {
    **{f"WURAO_{name}__PORT": "0" for name in ("METRICS", "ENFORCE", "WATCH", "AUDIT", "CONNECTOR")},
    "WURAO_CONNECTOR__CONTACTS_FILE": str(DEPLOY / "own" / "contacts.toml"),
}
"""What processes need besides the way to a broker."""
LONG_AGO = datetime(2020, 1, 1)  # noqa: DTZ001  # as X.509 has it


@dataclass(frozen=True)
class TlsBroker:
    """A broker, its ports by listener, and what a client needs to be let in there."""

    broker: Broker
    ports: Mapping[str, int]
    authority: Authority
    client: Identity
    password_file: Path
    stranger: Authority
    """whom nobody here believes"""

    def settings(self, listener: str, **others: object) -> dict[str, str]:
        """The variables of a client of this listener, but for those given."""
        login = {"sasl_mechanism": "PLAIN", "sasl_username": "wurao", "sasl_password": PASSWORD}
        mutual = {
            "ssl_certfile": self.client.certfile,
            "ssl_keyfile": self.client.keyfile,
            "ssl_keyfile_password_file": self.password_file,
        }
        stated = {
            "bootstrap": f"127.0.0.1:{self.ports[listener]}",
            "security_protocol": LISTENERS[listener],
            "ssl_cafile": self.authority.cafile,
            **(login if listener == "LOGIN" else {}),
            **(mutual if listener == "MUTUAL" else {}),
            **others,
        }
        return {f"WURAO_KAFKA__{name.upper()}": str(value) for name, value in stated.items()}


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsBroker]:
    """A broker that shows a certificate for 127.0.0.1, and another port where it has expired."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = Authority(folder / "ours"), Authority(folder / "stranger")
    shown = _keystore(authority.identity("127.0.0.1"), folder / "shown.pem")
    expired = _keystore(authority.identity("127.0.0.1", until=LONG_AGO), folder / "expired.pem")
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(shown),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.cafile),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.expired.ssl.keystore.type": "PEM",
        "listener.name.expired.ssl.keystore.location": str(expired),
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.login.plain.sasl.jaas.config": plain_logins("wurao"),
        # Certificate and password of both sides are renewed here: each login lasts for two seconds.
        "listener.name.renewed.ssl.client.auth": "required",
        "listener.name.renewed.ssl.allow.dn.changes": "true",
        "listener.name.renewed.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.renewed.scram-sha-512.sasl.jaas.config": SCRAM_LOGINS,
        "listener.name.renewed.scram-sha-512.connections.max.reauth.ms": "2000",
    }
    password_file = folder / "password"
    password_file.write_text(f"{KEY_PASSWORD}\n", encoding="utf-8")
    client = authority.identity("gateway.example", password=KEY_PASSWORD)
    with listening_kafka(LISTENERS, properties) as (kafka, ports):
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        yield TlsBroker(broker, ports, authority, client, password_file, stranger)


def _keystore(identity: Identity, path: Path) -> Path:
    """One file of key and certificate, as Kafka reads them (KIP-651)."""
    path.write_bytes(identity.keyfile.read_bytes() + identity.certfile.read_bytes())
    return path


@pytest.mark.kafka
@pytest.mark.parametrize("listener", ["SERVER", "MUTUAL", "LOGIN"])
def test_the_filter_decides_over_tls(listener: str, tls_broker: TlsBroker, tmp_path: Path) -> None:
    tls_broker.broker.write_registry(cases.registry())
    with FilterProcess(tls_broker.broker, tmp_path, workers=1, **tls_broker.settings(listener)) as filter_:
        filter_.wait_ready()
        sms = {"to": cases.WILLING, "text": cases.GOOD_TEXT, **cases.BANK}
        mine = {f"{listener}-{number}" for number in range(20)}
        tls_broker.broker.write_events([{**event("sms", 0, **sms), "id": one} for one in mine])
        wait_until(
            lambda: mine <= {decision["event"] for decision in tls_broker.broker.decisions()},
            what="all are decided",
        )
        assert filter_.terminate() == 0


@pytest.mark.kafka
@pytest.mark.parametrize("listener", ["SERVER", "MUTUAL", "LOGIN"])
def test_the_control_plane_deals_with_a_finding_over_tls(listener: str, tls_broker: TlsBroker, tmp_path: Path) -> None:
    finding = Finding(f"W-{listener}", 1, Party(sender=f"ORG-{listener}"), "refusals", "measures", evidence=("D-1",))
    with EnforceProcess(tls_broker.broker, tmp_path, **tls_broker.settings(listener)) as enforce:
        enforce.wait_ready()
        before = len(views(tls_broker.broker))
        tls_broker.broker.write([finding_event(finding)])
        wait_until(lambda: len(views(tls_broker.broker)) > before, what="a case is open")
        assert enforce.terminate() == 0


@pytest.mark.kafka
def test_passwords_and_certificates_are_renewed_without_a_restart(tls_broker: TlsBroker, tmp_path: Path) -> None:
    broker, files, renewed = tls_broker.broker, tmp_path / "own", Authority(tmp_path / "renewed")
    files.mkdir()
    mine = {name: files / name for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "sasl_password_file")}
    scram = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "wurao"}

    def give(authority: Authority, password: str) -> None:
        shown = authority.identity("filter.example")
        _put(mine["sasl_password_file"], f"{password}\n")
        for name, file in zip(mine, (authority.cafile, shown.certfile, shown.keyfile), strict=False):
            _put(mine[name], file.read_text(encoding="utf-8"))

    broker.ask(lambda admin: set_passwords(admin, {"wurao": "the first"}))
    give(tls_broker.authority, "the first")
    settings = tls_broker.settings("RENEWED", **scram, **mine)
    broker.write_registry(cases.registry())
    with (
        FilterProcess(broker, tmp_path, workers=1, **settings) as filter_,
        EnforceProcess(broker, tmp_path, **settings) as enforce,
    ):
        filter_.wait_ready()
        enforce.wait_ready()
        workers = filter_.worker_pids()
        _works(tls_broker, "before")

        # What is no password and no certificate changes nothing, and is told once, though connections come and go.
        _put(mine["sasl_password_file"], "\n")
        _put(mine["ssl_keyfile"], "spoilt")
        wait_until(lambda: "sasl_password_file: " in filter_.log and "ssl_keyfile" in filter_.log, what="it is told")
        _works(tls_broker, "spoilt")
        assert filter_.log.count("its previous content stays in use") == 2, "once of the password, once of the key"

        shown = _keystore(renewed.identity("127.0.0.1"), tmp_path / "shown.pem")
        stores = {"keystore": shown, "truststore": renewed.cafile}
        changes = {f"listener.name.renewed.ssl.{store}.location": str(path) for store, path in stores.items()}
        changes |= {f"listener.name.renewed.ssl.{store}.type": "PEM" for store in stores}
        broker.ask(lambda admin: admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", changes)]))
        broker.ask(lambda admin: set_passwords(admin, {"wurao": "the second"}))
        wait_until(lambda: not (filter_.is_ready or enforce.is_ready), what="nobody is let in as before")
        give(renewed, "the second")
        _works(tls_broker, "after")
        assert filter_.worker_pids() == workers, "nobody was restarted"
        assert (filter_.terminate(), enforce.terminate()) == (0, 0)


def _put(path: Path, text: str) -> None:
    """Replace a file as a whole."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _works(tls_broker: TlsBroker, name: str) -> None:
    """An event that is written now is decided, and a finding opens a case."""
    broker, before = tls_broker.broker, len(views(tls_broker.broker))
    finding = Finding(f"R-{name}", 1, Party(sender=f"ORG-R-{name}"), "refusals", "measures", evidence=("D-1",))
    sms = {"to": cases.WILLING, "text": cases.GOOD_TEXT, **cases.BANK}
    broker.write([finding_event(finding)])
    broker.write_events([{**event("sms", 0, **sms), "id": name}])
    wait_until(lambda: name in {one["event"] for one in broker.decisions()}, what=f"an event is decided: {name}")
    wait_until(lambda: len(views(broker)) > before, what=f"a case is open: {name}")


Changed = Callable[[TlsBroker], dict[str, object]]


def _as_a_stranger(tls_broker: TlsBroker) -> dict[str, object]:
    shown = tls_broker.stranger.identity("gateway.example")
    return {"ssl_certfile": shown.certfile, "ssl_keyfile": shown.keyfile}


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("listener", "changed", "told"),
    [
        ("SERVER", lambda tls_broker: {"ssl_cafile": tls_broker.stranger.cafile}, "let kafka.ssl_cafile (now /"),
        (
            "SERVER",
            lambda tls_broker: {"bootstrap": f"localhost:{tls_broker.ports['SERVER']}"},
            "let kafka.bootstrap be a name",
        ),
        ("EXPIRED", lambda _: {}, "not believed: certificate has expired; renew it"),
        ("MUTUAL", lambda _: {"ssl_certfile": "", "ssl_keyfile": ""}, "let kafka.ssl_certfile (now none) be"),
        ("MUTUAL", _as_a_stranger, "let kafka.ssl_certfile (now /"),
    ],
)
async def test_a_certificate_that_is_not_believed_is_told_and_not_waited_for(
    listener: str, changed: Changed, told: str, tls_broker: TlsBroker
) -> None:
    config = configuration.load(None, tls_broker.settings(listener, **changed(tls_broker)))
    with pytest.raises(CannotStart) as refused:
        await look(config, FILTER.topics)
    assert config.kafka.bootstrap in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("listener", "changed", "told"),
    [
        ("LOGIN", lambda _: {"sasl_password": "wrong"}, "refuses the login of wurao by PLAIN"),
        ("LOGIN", lambda _: {"sasl_mechanism": "SCRAM-SHA-512"}, "refuses the login of wurao by SCRAM-SHA-512"),
        ("SERVER", lambda _: {"security_protocol": "PLAINTEXT"}, "does not answer by PLAINTEXT"),
        ("SERVER", lambda tls_broker: {"bootstrap": tls_broker.broker.bootstrap}, "does not answer by SSL"),
    ],
)
async def test_what_else_keeps_a_client_out_is_told_and_waited_for(
    listener: str, changed: Changed, told: str, tls_broker: TlsBroker
) -> None:
    config = configuration.load(None, tls_broker.settings(listener, **changed(tls_broker), request_timeout_ms=2_000))
    with pytest.raises(clients.KafkaError) as failed:
        await look(config, FILTER.topics)
    assert f"{config.kafka.bootstrap} {told}" in str(failed.value)


@pytest.mark.kafka
async def test_nothing_keeps_a_client_out_that_is_let_in_at_one_address(tls_broker: TlsBroker) -> None:
    servers = f"127.0.0.1:1,127.0.0.1:{tls_broker.ports['MUTUAL']}"
    assert await reason(configuration.load(None, tls_broker.settings("MUTUAL", bootstrap=servers))) is None


@pytest.mark.kafka
@pytest.mark.parametrize(
    "command", ["filter", "enforce", "watch", "audit", "notify", "topics check", "registry export"]
)
def test_a_broker_that_is_not_believed_ends_a_start_with_the_reason(
    command: str, tls_broker: TlsBroker, tmp_path: Path
) -> None:
    settings = tls_broker.settings("SERVER", ssl_cafile=tls_broker.stranger.cafile)
    ran = Wurao(tmp_path, variables={**ELSE, **settings}).run(*command.split())
    assert ran.returncode == 1, ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert f"127.0.0.1:{tls_broker.ports['SERVER']} shows a certificate that is not believed" in last
    assert f"kafka.ssl_cafile (now {tls_broker.stranger.cafile})" in last


@pytest.mark.kafka
def test_the_doctor_says_why_a_broker_is_not_believed(tls_broker: TlsBroker, tmp_path: Path) -> None:
    ran = Wurao(tmp_path, variables=tls_broker.settings("SERVER", ssl_cafile=tls_broker.stranger.cafile)).run("doctor")
    (broken,) = (line for line in ran.stdout.splitlines() if line.startswith("WRONG"))
    assert "shows a certificate that is not believed: unable to get local issuer" in broken
    assert f"→ let kafka.ssl_cafile (now {tls_broker.stranger.cafile})" in ran.stdout


def _files(folder: Path, **changed: object) -> dict[str, str]:
    """The variables of a client with a certificate, and an encrypted key, of its own."""
    authority = Authority(folder / "authority")
    mine = authority.identity("gateway.example", password=KEY_PASSWORD)
    (folder / "password").write_text(KEY_PASSWORD, encoding="utf-8")
    (folder / "empty").touch()
    (folder / "endless").write_text("x" * 2_000, encoding="utf-8")
    stated = {
        "security_protocol": "SSL",
        "ssl_cafile": authority.cafile,
        "ssl_certfile": mine.certfile,
        "ssl_keyfile": mine.keyfile,
        "ssl_keyfile_password_file": folder / "password",
        **{name: folder / value if isinstance(value, str) else value for name, value in changed.items()},
    }
    return {f"WURAO_KAFKA__{name.upper()}": str(value or "") for name, value in stated.items()}


def test_a_certificate_and_its_encrypted_key_are_read(tmp_path: Path) -> None:
    assert credentials.ssl_context(configuration.load(None, _files(tmp_path)).kafka)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"ssl_cafile": "nowhere.pem"}, r"kafka\.ssl_cafile: .*nowhere\.pem: No such file"),
        ({"ssl_cafile": "authority"}, r"kafka\.ssl_cafile: .*authority: Is a directory"),
        ({"ssl_cafile": "empty"}, r"kafka\.ssl_cafile: .*empty: .*give certificates as PEM"),
        ({"ssl_certfile": "nowhere.pem"}, r"kafka\.ssl_certfile: .*nowhere\.pem: No such file"),
        ({"ssl_certfile": "empty"}, r"kafka\.ssl_certfile: .*empty with the key .*give a certificate"),
        ({"ssl_certfile": None}, r"kafka\.ssl_certfile: the certificate that kafka\.ssl_keyfile is the key of"),
        ({"ssl_keyfile": "nowhere.pem"}, r"kafka\.ssl_keyfile: .*nowhere\.pem: No such file"),
        ({"ssl_keyfile": None}, r"kafka\.ssl_certfile: .* with the key in it"),
        ({"ssl_keyfile_password_file": None}, r"kafka\.ssl_certfile: .*kafka\.ssl_keyfile_password_file"),
        ({"ssl_keyfile_password_file": "empty"}, r"kafka\.ssl_certfile: .*kafka\.ssl_keyfile_password_file"),
        ({"ssl_keyfile_password_file": "endless"}, r"kafka\.ssl_certfile: .*password cannot be longer"),
        ({"ssl_keyfile_password_file": "nowhere"}, r"secret file .*nowhere"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_option(
    changed: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        credentials.ssl_context(configuration.load(None, _files(tmp_path, **changed)).kafka)


@pytest.mark.parametrize("command", ["filter", "enforce", "watch", "audit", "notify", "topics check"])
def test_a_start_with_a_file_that_is_not_there_ends_with_its_option(command: str, tmp_path: Path) -> None:
    ran = Wurao(tmp_path, variables={**ELSE, **_files(tmp_path, ssl_cafile="nowhere.pem")}).run(*command.split())
    assert ran.returncode == 1, ran.stderr
    assert "kafka.ssl_cafile: " in ran.stderr.splitlines()[-1]


def test_the_doctor_tells_a_file_that_is_not_there_and_all_the_rest(tmp_path: Path) -> None:
    ran = Wurao(tmp_path, variables=_files(tmp_path, ssl_cafile="nowhere.pem")).run("doctor")
    assert (ran.returncode, ran.stderr) == (1, "")
    wrong = [line for line in ran.stdout.splitlines() if line.startswith("WRONG")]
    assert [line.split()[1] for line in wrong] == ["configuration", "brokers"]
    assert "kafka.ssl_cafile: " in wrong[0]
