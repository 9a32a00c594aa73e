"""Follow runbooks: inject each alert's fault into a trial deployment, see it fire, correct the fault, see it end.

    python -m deploy.follow                          all that `deploy.faults` knows; half an hour
    python -m deploy.follow WuraoWatchDown …         these
    python -m deploy.follow --write …                and write what was seen into each runbook's section *Followed*

Everything is genuine: Kafka, the services as processes, Prometheus with the rules of `deploy/prometheus`. Only time is
shortened, so that a fault need not last for hours: a minute of a rule is a second here (`shortened`). While the alert
fires, the queries and the commands of the runbook's own *How to see it* are asked, so that they are followed too.
"""

import argparse
import json
import logging
import re
import subprocess
import sys
import textwrap
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deploy.faults import FAULTS, Deployment, Fault, deployment
from deploy.generate import TOP
from deploy.trial import FILTERS, TrialError
from stream.testbed.processes import wurao_command

T = TypeVar("T")

WINDOW_S_MIN: Final = 10
"""No window becomes shorter: it must hold some scrapes."""

FIRES_S_MAX: Final = 180.0
ENDS_S_MAX: Final = 240.0
LOOK_EVERY_S: Final = 0.5
SETTLE_S: Final = 8.0
"""An alert may end before what it is about is whole again."""

SERIES_MAX: Final = 4
LINES_MAX: Final = 8
LINE_MAX: Final = 120
HISTORY_S: Final = 25.0
"""How long the deployment runs well before each fault: some rules compare with what was."""

_WINDOW: Final = re.compile(r"(\[|offset )(\d+)([smhd])\b")
_FOR: Final = re.compile(r"^( +for: )(\d+)([smhd])$", re.MULTILINE)
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STALE: Final = " (no data)"


def shortened(text: str) -> str:
    """A rule file or a query in which a minute is a second."""

    def window(found: re.Match[str]) -> str:
        return f"{found[1]}{max(WINDOW_S_MIN, int(found[2]) * _UNIT_S[found[3]] // 60)}s"

    text = _WINDOW.sub(window, text)
    return _FOR.sub(lambda found: f"{found[1]}{int(found[2]) * _UNIT_S[found[3]] // 60}s", text)


class _Alert(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    state: str


class _Alerts(msgspec.Struct, frozen=True):
    alerts: list[_Alert]


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct, frozen=True):
    result: list[_Series]


def _get(there: Deployment, path: str, kind: type[T]) -> T:
    with urllib.request.urlopen(f"{there.trial.prometheus}{path}", timeout=30) as answer:  # noqa: S310  # 127.0.0.1
        return msgspec.convert(json.load(answer)["data"], kind)


@dataclass(slots=True)
class Log:
    """What was seen, and when."""

    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def note(self, text: str, *, more: Sequence[str] = ()) -> None:
        """Something that happened now."""
        self.lines.append(f"{time.monotonic() - self.began:4.0f} s  {text}")
        self.lines += [f"        {line}" for line in more]
        print("\n".join(self.lines[-1 - len(more) :]), flush=True)


def follow(there: Deployment, fault: Fault) -> Log:
    """Inject the fault, see the alert fire, correct it, see it end. Raises `TrialError` where either does not come."""
    time.sleep(HISTORY_S)
    deadline = time.monotonic() + ENDS_S_MAX
    while firing := _firing(there, fault):  # of what was done before
        if time.monotonic() > deadline:
            raise TrialError(f"{fault.alert} fires before anything is done: {firing}")
        time.sleep(LOOK_EVERY_S)
    log = Log()
    with ExitStack() as ending:
        ending.callback(fault.mend, there)
        fault.inject(there)
        log.note(fault.injected)
        _wait(there, fault, log, fires=True)
        log.note("what its runbook asks:", more=list(_asked(there, fault)))
        others = sorted({one.labels["alertname"] for one in _all(there) if one.state == "firing"} - {fault.alert})
        log.note("fires too: " + (", ".join(others) or "nothing else"))
    log.note(fault.mended)
    _wait(there, fault, log, fires=False)
    time.sleep(SETTLE_S)
    log.note("what its runbook asks:", more=list(_asked(there, fault)))
    return log


def _all(there: Deployment) -> list[_Alert]:
    return _get(there, "/api/v1/alerts", _Alerts).alerts


def _firing(there: Deployment, fault: Fault) -> list[str]:
    """How gravely the alert fires now: severity, and burn rate where it has one."""
    found = [one.labels for one in _all(there) if one.state == "firing" and one.labels["alertname"] == fault.alert]
    lines = [
        labels["severity"] + (f", burn {labels['burn']}" if "burn" in labels else "")
        for labels in found
        if labels.get("burn") not in fault.outlast
    ]
    return sorted(lines)


def _wait(there: Deployment, fault: Fault, log: Log, *, fires: bool) -> None:
    deadline = time.monotonic() + (FIRES_S_MAX if fires else ENDS_S_MAX)
    while time.monotonic() < deadline:
        found = _firing(there, fault)
        if bool(found) == fires:
            log.note(f"{fault.alert} " + (f"fires ({'; '.join(found)})" if fires else "has ended"))
            return
        time.sleep(LOOK_EVERY_S)
    raise TrialError(f"{fault.alert} did not {'fire' if fires else 'end'}:\n" + "\n".join(log.lines))


def _asked(there: Deployment, fault: Fault) -> Iterator[str]:
    """The answers to the runbook's own queries and commands."""
    section = _section(_runbook(fault), "How to see it")
    for block in re.findall(r"```promql\n(.*?)```", section, re.DOTALL):
        for query in block.strip().splitlines():
            yield f"{query}: {_answer(there, query)}"
    commands = [line.split("#")[0].strip() for line in re.findall(r"^(?:wurao [^\n]*)$", section, re.MULTILINE)]
    if not commands and "wurao doctor" in _runbook(fault).read_text(encoding="utf-8"):
        commands = ["wurao doctor"]
    for command in commands:
        yield from (f"{command.split()[1]}: {line}" for line in _printed(there, command)[:LINES_MAX])


def _answer(there: Deployment, query: str) -> str:
    asked = urllib.parse.urlencode({"query": shortened(query)})
    found = _get(there, f"/api/v1/query?{asked}", _Vector).result
    lines = []
    for one in found[:SERIES_MAX]:
        labels = {name: value for name, value in one.metric.items() if name != "__name__"}
        if "instance" in labels:
            labels.pop("job", None)
            labels["instance"] = _called(there, labels["instance"])
        series = ",".join(f"{name}={value}" for name, value in labels.items() if value and name != "hash")
        lines.append((f"{{{series}}} " if series else "") + _figure(float(one.value[1])))
    return ", ".join(lines) + (", …" if len(found) > SERIES_MAX else "") or _STALE.strip()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _called(there: Deployment, instance: str) -> str:
    """A process's name in the place of its address; the workers of a filter are its first and second."""
    port = int(instance.rpartition(":")[2] or 0)
    for name, base in there.trial.ports.items():
        if name in FILTERS and base < port <= base + 2:
            return f"{name}.{port - base}"
        if port == base:
            return name
    return instance


def _printed(there: Deployment, command: str) -> list[str]:
    """What a command says: of the doctor, only what is wrong."""
    answer = subprocess.run(
        wurao_command(*_arguments(command)),
        env=dict(there.trial.environment),
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line.rstrip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    if "doctor" in command:
        lines = [line for line in lines if re.match(r"(wrong|warn) +(?!calendar|clock |\s)|ok +group", line)]
    return lines


def _arguments(command: str) -> list[str]:
    """As it stands in the runbook, but for a person: without the pipe into a program."""
    return [word for word in command.partition("|")[0].split()[1:] if word != "--json"]


def _runbook(fault: Fault) -> Path:
    return TOP / "docs" / "runbooks" / f"{fault.alert}.md"


def _section(path: Path, title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{path}: no section {title}"
    return found[1]


def _write(fault: Fault, log: Log) -> None:
    """Into the runbook, in the place of what stood there; the index then says that it was followed."""
    path = _runbook(fault)
    day = datetime.now(UTC).date().isoformat()
    lines = (
        f"Followed on {day} on a genuine Kafka 4.4 on one machine, with Prometheus by `python -m deploy.follow`, for "
        f"which a minute of the rules is a second. {fault.note}"
    )
    lines = textwrap.fill(lines, LINE_MAX) + "\n\n```\n" + "\n".join(log.lines) + "\n```\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("## Followed\n")] + f"## Followed\n\n{lines}", encoding="utf-8")
    index = path.parent / "README.md"
    rows = index.read_text(encoding="utf-8")
    index.write_text(re.sub(rf"^(\| \[{fault.alert}\].*\| )no \|$", r"\1yes |", rows, flags=re.MULTILINE), "utf-8")


def main() -> int:
    """Follow some; 1 where an alert did not fire or did not end."""
    parser = argparse.ArgumentParser(prog="python -m deploy.follow", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("alerts", nargs="*", metavar="ALERT", help="which (default: all that have a fault)")
    parser.add_argument("--write", action="store_true", help="write into the runbooks")
    arguments = parser.parse_args()
    known = {fault.alert: fault for fault in FAULTS}
    if unknown := set(arguments.alerts) - known.keys():
        print(f"follow: no fault for {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is frozen on purpose
    failed = 0
    try:
        with deployment(shortened) as there:
            for fault in [known[name] for name in arguments.alerts] or FAULTS:
                print(f"\n{fault.alert}", flush=True)
                try:
                    log = follow(there, fault)
                except TrialError as error:
                    print(f"follow: {error}", file=sys.stderr)
                    failed += 1
                    continue
                if arguments.write:
                    _write(fault, log)
    except TrialError as error:
        print(f"follow: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
