"""A small pass through all processes with a marked number and marked secrets, after which neither stands anywhere.

The number comes in every form, through every topic and every door, well and ill; looked through is what is written
beside the records themselves: logs, metrics, reasons of dead letters and attempts, spans, files, lists of processes.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from unicodedata import normalize

import pytest

from stream.model import topics
from stream.model.codec import encode
from stream.model.control import Complaint, Notice
from stream.model.registry import Expression
from stream.testbed.processes import environment_with, free_ports, wurao_command
from tests.enforce.api.harness import token_of, write_tokens
from tests.enforce.harness import intake_record
from tests.filter import cases
from tests.filter.harness import Broker, event
from tests.operate.processes import Process, wait_until
from tests.test_logs import FORMS
from tests.test_tracing import collecting

pytestmark = pytest.mark.kafka

MARKED: Final = "+8613777766665"
DIGITS: Final = "3777766665"
"""Of the marked number, however it is written: ten digits, which no offset or time has by chance."""
SECRETS: Final = ("SECRET-HOOK", "SECRET-TOKEN", token_of("desk"))
_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-f]{4}|x[0-9a-f]{2})|%20")

BAD: Final = tuple(
    body % form.replace('"', '\\"').encode()
    for form in (*FORMS, "number|" + MARKED)
    for body in (
        b'{"kind":"%s"}',
        b'{"kind":"sms","id":"1","time":"%s","to":"+8613777766665"}',
        b'{"kind":"sms","id":"1","time":1,"to":"+8613777766665","network":"%s"}',
        b'{"kind":"expression","subscriber":"%s","channel":"sms","will":"refuse","time":1,"source":"x"}',
        b'{"kind":"expression","subscriber":"+8613777766665","channel":"%s","will":"refuse","time":1,"source":"x"}',
        b'{"kind":"complaint","complaint":"C","time":1,"subscriber":"%s","channel":"+8613777766665"}',
        b'{"kind":"notice","notice":"N","case":"M","time":1,"to":"x","subject":"%s","reason":"x"}',
        b"%s\xff",
    )
)


@pytest.mark.parametrize("options", [[], ["--verbose"]])
def test_neither_number_nor_secret_is_written_anywhere(options: list[str], broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "contacts.toml").write_text(
        '[contacts]\n"subscriber|*" = "http://u:SECRET-HOOK@127.0.0.1:1/SECRET-HOOK?key=SECRET-HOOK"\n'
        f'"sender|*" = "mailto:{MARKED[1:]}@org.example"\n',
        encoding="utf-8",
    )
    broker.write_registry([*cases.registry(), Expression(MARKED, "sms", "refuse", 1_790_000_000_000, "form")])
    api = free_ports(1)
    with collecting() as collector, ExitStack() as ends:
        processes = [
            Process("filter", broker, tmp_path, command=["filter", *options], WURAO_TRACE__ENDPOINT=collector.endpoint),
            Process(
                "enforce",
                broker,
                tmp_path,
                command=["enforce", *options],
                WURAO_API__TOKENS_FILE=str(write_tokens(tmp_path / "tokens")),
                WURAO_API__PORT=str(api),
            ),
            *(
                Process(
                    name,
                    broker,
                    tmp_path,
                    command=[name, *options],
                    WURAO_CONNECTOR__PAUSE_MS="100",
                    WURAO_CONNECTOR__SMTP_PORT="1",
                )
                for name in ("watch", "audit", "notify", "registrar")
            ),
        ]
        for one in processes:
            ends.enter_context(one)
        wait_until(lambda: all(one.is_ready for one in processes), processes)
        _records(broker)
        answers = [_ask(api, request) for request in _requests()]
        shown = _list_of_processes(broker, tmp_path)
        wait_until(lambda: len(broker.read(topics.DECISIONS)) >= len(BAD) + 2 * len(FORMS), processes)
        wait_until(lambda: len(_attempts(broker)) >= 4, processes)
        wait_until(lambda: processes[3].metric("wurao_audit_decisions_total") >= 2 * len(FORMS), processes)
        metrics = [
            one.get("/metrics", worker=worker) or "" for one in processes for worker in range(len(one.addresses))
        ]
        for one in processes:
            one.signal(signal.SIGTERM)
        assert [one.ended() for one in processes] == [0] * len(processes)
        spans = b"".join(collector.requests)

    letters = broker.read(topics.DEAD_LETTER)
    assert {dict(letter.headers)["topic"].decode() for letter in letters} >= {
        topics.EVENTS_SMS, topics.EXPRESSIONS, topics.REQUESTS, topics.COMPLAINTS, topics.NOTICES,
    }  # fmt: skip
    written = {
        **{f"the log of {one.name}": one.log for one in processes},
        **{f"metrics {place}": text for place, text in enumerate(metrics)},
        **{f"the reason of dead letter {letter.offset}": str(letter.headers) for letter in letters},
        **{f"attempt {place}": text for place, text in enumerate(_attempts(broker))},
        **{f"answer {place}": text for place, text in enumerate(answers)},
        **_files(tmp_path),
        "spans": spans.decode("latin-1"),
        "the list of processes": shown,
    }
    assert spans
    assert all(metrics)
    found = {place: leak for place, text in written.items() if (leak := _leak(text)) is not None}
    assert not found


_ASKED = (topics.REQUESTS, topics.BULK)


def _attempts(broker: Broker) -> list[str]:
    """The attempts on record, without what the test itself wrote there."""
    return [one.value.decode() for one in broker.read(topics.DELIVERIES) if one.key != MARKED.encode()]


def _records(broker: Broker) -> None:
    """Good and bad records, of all that is read."""
    broker.write_events(event("sms", 0, to=MARKED, text=cases.GOOD_TEXT, **cases.BANK) for _ in FORMS)
    broker.write_events(event("reply", 0, **{"from": form, "to": form, "text": f"TD {form}"}) for form in FORMS)
    broker.write(
        (topic, 0, MARKED.encode(), bad)
        for topic in (
            *topics.EVENT_KINDS,
            *topics.RECORD_KIND,
            *_ASKED,
            *topics.INTAKE,
            topics.NOTICES,
            topics.DECISIONS,
        )
        for bad in BAD
    )
    now = time.time_ns() // 1_000_000
    complaint = Complaint("C-1", now, subscriber=MARKED, channel="sms", sender="ORG-BANK", at=now, text=MARKED)
    broker.write([intake_record(complaint)])
    for place, to in enumerate((f"subscriber|{MARKED}", "sender|ORG-9", f"number|{MARKED}")):
        notice = Notice(f"N-{place}", f"M-{place}", now, to, "measure", MARKED, measure="stop")
        broker.write([(topics.NOTICES, 0, notice.notice.encode(), encode(notice))])


def _requests() -> Iterator[bytes]:
    """What strangers send to the API."""
    token = b"Authorization: Bearer " + token_of("desk").encode()
    yield b"GET /v1/cases HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer SECRET-TOKEN\r\n\r\n"
    yield b"GET /v1/cases HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer SECRET-TOKEN\r\n\r\n"
    yield b"GET /v1/cases?party=number|+8613777766665 and more HTTP/1.1\r\n\r\n"
    yield b"GET /v1/cases/" + MARKED.encode() + b" HTTP/1.1\r\nHost: a\r\n" + token + b"\r\n\r\n"
    for form in FORMS:
        body = b'{"subscriber":"x","channel":"%s"}' % form.replace('"', '\\"').encode()
        yield b"POST /v1/complaints HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n\r\n%s" % (
            len(body),
            token,
            body,
        )


def _ask(port: int, request: bytes) -> str:
    """Whether it was answered. What is answered repeats what the caller itself has sent, and goes to nobody else."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        return connection.recv(1 << 16).decode().partition("\r\n")[0]


def _list_of_processes(broker: Broker, directory: Path) -> str:
    """What everybody on the machine sees of a command that is asked about the number."""
    command = subprocess.Popen(
        wurao_command("will", "show", "-"),
        env=environment_with(
            {"WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, "WURAO_TOPICS__PARTITIONS": str(broker.partitions)}
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
    )
    lists = [path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace") for path in _command_lines()]
    assert any("will show -" in one for one in lists)
    answer, _ = command.communicate(MARKED)
    assert "refuses everything" in answer
    return "\n".join(lists)


def _command_lines() -> list[Path]:
    """Those of this test's own processes: others on the machine are no matter of its."""
    ours, found = {os.getpid()}, []
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            parent = int((path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent in ours:
            ours.add(int(path.name))
            found.append(path / "cmdline")
    return found


def _files(directory: Path) -> dict[str, str]:
    """Names and contents of all that was written, but for what the test itself wrote."""
    return {
        str(path): f"{path}\n{path.read_bytes().decode('latin-1')}"
        for path in directory.rglob("*")
        if path.is_file() and path.name not in ("contacts.toml", "tokens")
    }


def _leak(text: str) -> str | None:
    """What of the marked number or secrets stands in a text, with what stands before it."""
    for secret in SECRETS:
        if (place := text.find(secret)) >= 0:
            return text[max(0, place - 200) : place + 40]
    digits = [(place, c) for place, c in enumerate(normalize("NFKC", _ESCAPE.sub("", text))) if c.isdecimal()]
    place = "".join(str(int(c)) for _, c in digits).find(DIGITS)
    if place < 0:
        return None
    return normalize("NFKC", _ESCAPE.sub("", text))[max(0, digits[place][0] - 200) : digits[place][0] + 40]
