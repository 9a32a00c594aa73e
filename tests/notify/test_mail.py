"""Mail over the wire: logins, STARTTLS and TLS, to servers that speak them and to some that are not to be trusted."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream import config as configuration
from stream.config import ConfigError, ConnectorConfig
from stream.model.control import Notice
from stream.notify.contacts import Address
from stream.notify.transports import Transports, Undelivered
from tests.certificates import Authority
from tests.notify.sinks import OURS, MailSink, mail_sink

LOGIN = ("wurao", "open sesame")
MAILBOX = Address("smtp", "legal@org9.example")
NOTICE = Notice("N-1", "M-1", 1_795_500_000_000, "sender|ORG-9", "measure", "refusals", measure="stop")


@dataclass(frozen=True)
class Identity:
    """Who signed a server's certificate, and what the server serves with."""

    cafile: Path
    server: ssl.SSLContext


def identity(directory: Path, *, name: str) -> Identity:
    """A new certificate for this name."""
    authority = Authority(directory)
    made = authority.identity(name)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certfile, made.keyfile)
    return Identity(authority.cafile, server)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return identity(tmp_path_factory.mktemp("certificates") / "ours", name="127.0.0.1")


def transports_to(sink: MailSink, security: str, cafile: Path | None = None, **settings: str) -> Transports:
    """Transports whose mail server is the sink."""
    stated = {
        "SMTP_PORT": str(sink.port),
        "SMTP_SECURITY": security,
        "ATTEMPT_TIMEOUT_MS": "5000",
        **({"SMTP_CAFILE": str(cafile)} if cafile else {}),
        **settings,
    }
    config = configuration.load(None, {f"WURAO_CONNECTOR__{name}": value for name, value in stated.items()})
    return Transports(config.connector, OURS)


async def deliver(sink: MailSink, security: str, cafile: Path | None = None, **settings: str) -> str:
    """What one attempt comes to."""
    couriers = transports_to(sink, security, cafile, **settings)
    try:
        return (await couriers.deliver(NOTICE, MAILBOX)).reply
    finally:
        await couriers.close()


CREDENTIALS = {"SMTP_USERNAME": LOGIN[0], "SMTP_PASSWORD": LOGIN[1]}


async def test_with_starttls_nothing_but_the_wish_for_it_goes_in_the_clear(ours: Identity) -> None:
    async with mail_sink() as sink:
        sink.starttls, sink.login = ours.server, LOGIN
        assert await deliver(sink, "starttls", ours.cafile, **CREDENTIALS) == "SMTP 250"
        assert sink.header(0, "Message-ID") == "<N-1@localhost>"
        assert sink.logins == [b"\0wurao\0open sesame"]
        assert [line[:8] for line in sink.heard] == [sink.heard[0][:8], b"STARTTLS"]


async def test_with_tls_nothing_at_all_goes_in_the_clear(ours: Identity) -> None:
    async with mail_sink(tls=ours.server) as sink:
        sink.login = LOGIN
        assert await deliver(sink, "tls", ours.cafile, **CREDENTIALS) == "SMTP 250"
        assert (len(sink.mails), len(sink.logins), sink.heard) == (1, 1, [])


async def test_a_password_and_whom_to_believe_are_read_from_their_files_at_each_login(
    ours: Identity, tmp_path: Path
) -> None:
    password, cafile = tmp_path / "password", tmp_path / "believed"
    password.write_text(f"{LOGIN[1]}\n", encoding="utf-8")
    cafile.write_bytes(ours.cafile.read_bytes())
    stated = {"SMTP_USERNAME": LOGIN[0], "SMTP_PASSWORD_FILE": str(password)}
    async with mail_sink(tls=ours.server) as sink:
        sink.login = LOGIN
        transports = transports_to(sink, "tls", cafile, **stated)
        assert (await transports.deliver(NOTICE, MAILBOX)).reply == "SMTP 250"
        password.write_text("", encoding="utf-8")
        cafile.write_text("spoilt", encoding="utf-8")
        assert (await transports.deliver(NOTICE, MAILBOX)).reply == "SMTP 250", "what was read last stays in use"
        sink.login = (LOGIN[0], "another")
        password.write_text("another\n", encoding="utf-8")
        assert (await transports.deliver(NOTICE, MAILBOX)).reply == "SMTP 250"
        cafile.write_bytes(identity(tmp_path / "elsewhere", name="127.0.0.1").cafile.read_bytes())
        with pytest.raises(Undelivered, match="certificate verify failed"):
            await transports.deliver(NOTICE, MAILBOX)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_that_cannot_show_who_it_is_gets_neither_login_nor_mail(
    ours: Identity, tmp_path: Path, security: str
) -> None:
    elsewhere = identity(tmp_path / "elsewhere", name="mail.example")
    for served, believed in ((elsewhere, ours), (elsewhere, elsewhere), (ours, None)):
        async with mail_sink(tls=served.server if security == "tls" else None) as sink:
            sink.login = LOGIN
            sink.starttls = served.server if security == "starttls" else None
            with pytest.raises(Undelivered, match="certificate verify failed"):
                await deliver(sink, security, believed.cafile if believed else None, **CREDENTIALS)
            assert (sink.logins, sink.mails) == ([], [])


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(ours: Identity) -> None:
    async with mail_sink() as sink:
        sink.login = LOGIN
        with pytest.raises(Undelivered, match="STARTTLS"):
            await deliver(sink, "starttls", ours.cafile, **CREDENTIALS)
        with pytest.raises(Undelivered):
            await deliver(sink, "tls", ours.cafile, **CREDENTIALS)
        assert (sink.logins, sink.mails) == ([], [])


async def test_a_refused_login_is_told_without_the_password(ours: Identity) -> None:
    async with mail_sink(tls=ours.server) as sink:
        sink.login = LOGIN
        with pytest.raises(Undelivered) as raised:
            await deliver(sink, "tls", ours.cafile, **{**CREDENTIALS, "SMTP_PASSWORD": "guessed"})
        assert str(raised.value) == "SMTP 535: who are you"
        with pytest.raises(Undelivered, match="SMTP 530: log in first"):
            await deliver(sink, "tls", ours.cafile)
        assert sink.mails == []


async def test_a_mail_that_was_taken_is_delivered_however_the_server_says_goodbye() -> None:
    for goodbye in (b"421 gone", b"", b"\xff"):
        async with mail_sink() as sink:
            sink.goodbye = goodbye
            assert await deliver(sink, "none") == "SMTP 250"


def test_no_password_goes_to_another_machine_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        Transports(ConnectorConfig(smtp_host="mail.example", smtp_username="wurao"), OURS)
    Transports(ConnectorConfig(smtp_host="127.0.0.1", smtp_username="wurao"), OURS)


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"smtp_cafile.*nothing\.pem"):
        Transports(ConnectorConfig(smtp_security="tls", smtp_cafile=str(tmp_path / "nothing.pem")), OURS)
