"""`wurao` as an operator runs it: a process of its own, in a folder of its own."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import orjson

from stream.model.codec import decode_record
from stream.model.registry import Expression, FileRecord
from stream.model.topics import EXPRESSIONS
from stream.testbed.processes import environment_with, wurao_command
from tests.filter.harness import Broker
from tests.patience import LONG_S

Ran = subprocess.CompletedProcess[str]

_numbers = count()


def persons(wanted: int) -> list[str]:
    """Numbers of persons that no other test has."""
    return [f"+86137{number:08d}" for number in islice(_numbers, wanted)]


def a_source() -> str:
    """A source of expressions that no other test has."""
    return f"source-{next(_numbers)}"


@dataclass
class Wurao:
    """Runs commands against one broker, or none, in one folder."""

    folder: Path
    broker: Broker | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """further ones"""

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every run."""
        bootstrap = self.broker.bootstrap if self.broker else "127.0.0.1:1"
        settings = {"WURAO_KAFKA__BOOTSTRAP": bootstrap, "WURAO_REGISTRY__SNAPSHOTS": str(self.folder / "snapshots")}
        return environment_with({**settings, **self.variables})

    def run(self, *words: str | Path, stdin: str = "") -> Ran:
        """Run to the end."""
        return subprocess.run(
            wurao_command(*words),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=LONG_S,
            env=self.environment,
            cwd=Path(__file__).parents[2],
            encoding="utf-8",
        )

    def asked(self, *words: str | Path, code: int = 0) -> dict[str, object]:
        """Run with `--json`, see that it ends with `code`, and read the answer."""
        ran = self.run(*words, "--json")
        assert ran.returncode == code, ran.stderr
        answer: dict[str, object] = orjson.loads(ran.stdout)
        return answer

    def file(self, name: str, *lines: str) -> Path:
        """A file with these lines."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def topic(self, name: str) -> list[FileRecord]:
        """All records of a registry topic, partition by partition."""
        assert self.broker is not None
        found = sorted(self.broker.read(name), key=lambda record: (record.partition, record.offset))
        return [decode_record(name, record.key, record.value) for record in found]

    def expressions(self) -> list[Expression]:
        """All expressions, partition by partition."""
        return [record for record in self.topic(EXPRESSIONS) if isinstance(record, Expression)]
