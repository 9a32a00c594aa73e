"""`wurao notify` as a process, on genuine Kafka, with a mail server and a web server that take notices."""

import asyncio
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from bloom.partition import partition_of
from stream.config import Config
from stream.model.codec import decode_as, encode
from stream.model.control import Delivery, Notice, Report
from stream.model.limits import BATCH
from stream.model.topics import DEAD_LETTER, DELIVERIES, NOTICES, REPORTS
from stream.notify.message import mail_of
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.enforce.api.harness import config_for, eventually, read
from tests.filter.harness import PARTITIONS, Broker, write
from tests.hostile import write_compressed
from tests.notify.sinks import OURS, MailSink, WebSink, mail_sink, web_sink

pytestmark = pytest.mark.kafka


def notice(name: str, to: str = "sender|ORG-9") -> Notice:
    return Notice(
        notice=name,
        case=f"M-{name}",
        time=1_795_500_000_000,
        to=to,
        subject="measure",
        reason="refusals",
        basis="early-warning",
        measure="suspend",
        grace_ms=86_400_000,
        appeal="tel:12300;phone-context=+86",
    )


async def tell(config: Config, *notices: Notice) -> None:
    await write(
        config,
        [(NOTICES, partition_of(one.notice, PARTITIONS), one.notice.encode(), encode(one)) for one in notices],
    )


async def deliveries(config: Config, count: int) -> list[Delivery]:
    """What is on record, once there is so much; each under its case's key, in that key's partition."""

    async def there() -> list[Delivery] | None:
        records = await read(config, DELIVERIES)
        for record in records:
            assert record.partition == partition_of(record.key.decode(), PARTITIONS)
        found = sorted((decode_as(Delivery, record.value) for record in records), key=lambda one: one.time)
        return found if len(found) >= count else None

    return await eventually(there)


def notify(broker: Broker, directory: Path, mail: MailSink, web: WebSink, *, pause_ms: int = 50) -> WuraoProcess:
    """`wurao notify`, not started yet."""
    contacts = directory / "contacts.toml"
    contacts.write_text(
        f"""[contacts]
        "sender|ORG-9" = "mailto:legal@org9.example"
        "sender|ORG-1" = "{web.url}"
        "subscriber|*" = "{web.url}"
        "office|regulator" = "mailto:duty@regulator.example"
        """,
        encoding="utf-8",
    )
    port = free_ports(1)
    variables = {
        "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
        "WURAO_TOPICS__PARTITIONS": str(PARTITIONS),
        "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
        "WURAO_CONNECTOR__CONTACTS_FILE": str(contacts),
        "WURAO_CONNECTOR__SMTP_PORT": str(mail.port),
        "WURAO_CONNECTOR__PAUSE_MS": str(pause_ms),
        "WURAO_CONNECTOR__ATTEMPTS_MAX": "3",
        "WURAO_CONNECTOR__PORT": str(port),
    }
    environment, log = environment_with(variables), directory / "notify.log"
    return WuraoProcess(wurao_command("notify"), environment=environment, port=port, log=log)


async def test_notices_are_delivered_by_mail_and_web_and_each_attempt_is_recorded(
    broker: Broker, tmp_path: Path
) -> None:
    config = config_for(broker, tmp_path)
    async with mail_sink() as mail, web_sink() as web:
        web.statuses = [500, 302]
        number = "+8613800138000"
        await tell(config, notice("N-1"), notice("N-2", "sender|ORG-1"), notice("N-3", "number|+8613900139000"))
        await write(config, [(NOTICES, 0, b"broken", b"{}")])
        with notify(broker, tmp_path, mail, web) as running:
            found = await deliveries(config, 7)
            by_notice = {name: [one for one in found if one.notice == name] for name in ("N-1", "N-2", "N-3")}
            (mailed,) = by_notice["N-1"]
            assert (mailed.outcome, mailed.attempt, mailed.via, mailed.case) == ("delivered", 1, "smtp", "M-N-1")
            assert [(one.outcome, one.attempt, one.detail) for one in by_notice["N-2"]] == [
                ("failed", 1, "HTTP 500"),
                ("failed", 2, "HTTP 302"),
                ("delivered", 3, "HTTP 204"),
            ]
            assert [one.outcome for one in by_notice["N-3"]] == ["failed"] * 3
            assert {one.via for one in by_notice["N-3"]} == {"contacts"}
            assert [one.at_addressee for one in (*by_notice["N-2"], *by_notice["N-3"])] == [True] + [False] * 5
            assert mailed.address == "mailto:l***@org9.example"
            sent = mail_of(notice("N-1"), OURS, to="legal@org9.example", sender=config.connector.sender)
            assert mailed.digest == sha256(sent).hexdigest()
            assert {one.address for one in by_notice["N-2"]} == {web.url.replace("/notices", "/***")}
            assert by_notice["N-2"][-1].digest == sha256(encode(notice("N-2", "sender|ORG-1"))).hexdigest()
            assert {key for key, _ in web.took} == {"N-2"}
            assert web.took[0][1]["notice"] == "N-2"

            assert mail.header(0, "Message-ID") == "<N-1@localhost>"
            assert mail.header(0, "To") == "legal@org9.example"
            assert "24 hours after this notice" in mail.text(0)
            assert "tel:12300" in mail.text(0)
            assert mail.text(0).startswith("处置措施告知书")

            # The same notice again, as a control plane that died may write it, is not told twice.
            await tell(config, notice("N-1"), notice("N-4", f"subscriber|{number}"))
            assert (await deliveries(config, 8))[-1].notice == "N-4"
            assert len(mail.mails) == 1
            assert await asyncio.to_thread(running.terminate) == 0
        (letter,) = await read(config, DEAD_LETTER)
        assert letter.value == b"{}"

        # Nor after a restart; what waits for the next start is told then, and so are reports, by the office's address.
        await tell(config, notice("N-1"), notice("N-3", "number|+8613900139000"), notice("N-5"))
        report = Report(
            "R-1", "X-1", 1_795_500_000_000, "regulator", "found and stopped", "prohibited-content", ("W-1",)
        )
        for topic, value in ((REPORTS, encode(report)), (REPORTS, encode(report)), (REPORTS, b"{}")):
            await write(config, [(topic, 0, b"R-1", value)])
        with notify(broker, tmp_path, mail, web) as again:
            told = {one.notice: one for one in (await deliveries(config, 10))[8:]}
            assert told.keys() == {"N-5", "R-1"}
            await asyncio.sleep(0.5)
            assert len(await deliveries(config, 10)) == 10
        ids = [mail.header(place, "Message-ID") for place in range(3)]
        assert (ids[0], set(ids[1:])) == ("<N-1@localhost>", {"<N-5@localhost>", "<R-1@localhost>"})
        sent = mail_of(report, OURS, to="duty@regulator.example", sender=config.connector.sender)
        assert (told["R-1"].case, told["R-1"].outcome) == ("X-1", "delivered")
        assert told["R-1"].digest == sha256(sent).hexdigest()
        assert "found and stopped" in mail.text(ids.index("<R-1@localhost>"))
        assert len(await read(config, DEAD_LETTER)) == 2
        log = again.log
        assert "13800138000" not in log
        assert "13900139000" not in log
        assert "Traceback" not in log


async def test_a_connector_that_is_killed_loses_nothing_and_repeats_only_what_is_not_on_record(
    broker: Broker, tmp_path: Path
) -> None:
    config = config_for(broker, tmp_path)
    async with mail_sink() as mail, web_sink() as web:
        mail.silent = True  # the mail is there, and its sender does not know it yet: killed before it can record it
        web.statuses = [500] * 10
        await tell(config, notice("N-1"), notice("N-2", "sender|ORG-1"))
        with notify(broker, tmp_path, mail, web, pause_ms=2_000) as running:
            await asyncio.wait_for(mail.came.wait(), 30)
            (failed,) = await deliveries(config, 1)
            running.kill()
        assert (failed.notice, failed.attempt, failed.detail) == ("N-2", 1, "HTTP 500")
        mail.silent = False
        with notify(broker, tmp_path, mail, web, pause_ms=200):
            found = await deliveries(config, 4)
            (delivered,) = [one for one in found if one.notice == "N-1"]
            assert (delivered.outcome, delivered.attempt) == ("delivered", 1)
            assert [one.attempt for one in found if one.notice == "N-2"] == [1, 2, 3]
            await asyncio.sleep(0.5)
            assert len(await deliveries(config, 4)) == 4, "three attempts were allowed"
        assert {mail.header(place, "Message-ID") for place in (0, 1)} == {"<N-1@localhost>"}
        assert mail.mails[0] == mail.mails[1], "the receiver can tell a repeat"
        assert len(web.took) == 3


async def test_notices_that_cannot_be_sent_or_recorded_stop_none_of_the_others(broker: Broker, tmp_path: Path) -> None:
    config = config_for(broker, tmp_path)
    async with mail_sink() as mail, web_sink() as web:
        late = msgspec.structs.replace(notice("N-1"), time=(1 << 53) - 1)  # no mail can state it
        large = msgspec.structs.replace(notice("N-2"), case="M" * 500_000)  # its attempt would fit no record
        await tell(config, late, large)
        with notify(broker, tmp_path, mail, web) as running:
            assert [one.outcome for one in await deliveries(config, 3)] == ["failed"] * 3
            await tell(config, notice("N-3"))
            assert (await deliveries(config, 4))[-1].outcome == "delivered"
            assert await asyncio.to_thread(running.terminate) == 0
        (letter,) = await read(config, DEAD_LETTER)
        assert letter.key == b"N-2"


async def test_no_notice_stops_the_connector_for_its_size(broker: Broker, tmp_path: Path) -> None:
    config = config_for(broker, tmp_path)
    hostile: list[tuple[str, int, bytes | None, bytes | None]] = [
        (NOTICES, 0, None, b"a" * (2 << 20)),
        (NOTICES, 0, b"k" * 2_000_000, b"{}"),
        (NOTICES, 0, b"k", bytes(BATCH.most)),
        (NOTICES, 0, None, None),
    ]
    async with mail_sink() as mail, web_sink() as web:
        await asyncio.to_thread(write_compressed, broker.bootstrap, hostile)
        await tell(config, notice("N-1"))
        with notify(broker, tmp_path, mail, web) as running:
            assert (await deliveries(config, 1))[0].notice == "N-1"
            assert await asyncio.to_thread(running.terminate) == 0
        letters = await read(config, DEAD_LETTER)
    assert len(letters) == len(hostile)
    assert all(len(one.key or b"") + len(one.value or b"") <= 65_792 for one in letters)
