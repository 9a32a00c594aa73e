"""Bulk files of registry records, read in chunks: NDJSON of any kind, tables of expressions, plain lists of numbers.

Promises that every line comes out once, as a record or as a bad line with its number and the reason, in order, in
constant memory. Must never stop at a bad line, nor let one pass as something else: a number is read as everywhere
(`Numbering`), and one that is nobody's is bad. A refusal of which the time alone is bad is a bad line and yet counts,
with the time of the file: else an older consent would outlive it.

A table's columns are the fields of an expression, under the names that `tables` knows or the operator gives. What a row
leaves empty, and what a list cannot say at all, is taken from the options. `time` is in milliseconds since the epoch
or in ISO 8601; without an offset only where the operator names the file's time zone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from stream.feed import tables
from stream.feed.numbers_read import persons
from stream.feed.table_columns import NUMBER
from stream.feed.tables import TableRows
from stream.feed.text_files import BulkFileError, TextFile
from stream.model import limits
from stream.model.codec import Undecodable, decode_as, decode_file_record
from stream.model.hiding import without_numbers
from stream.model.registry import Expression, FileRecord
from stream.model.schema_fault import closed_sets
from stream.model.times import iso_time, read_time, time_problem
from stream.policy.numbering import Numbering

Format = Literal["ndjson", "csv", "list"]

CHUNK_LINES: Final = 100_000
"""Lines handled at once: each portion costs the broker a round trip, and the index a pass over its pages."""

COLUMNS: Final = tuple(name for name in Expression.__struct_fields__ if name != "expires")
"""A consent that expires is for one transaction: no table is kept of such."""
_STATED: Final = tuple(name for name in COLUMNS if name != NUMBER)


class _OfKind(msgspec.Struct):
    kind: str


_kinds: Final = msgspec.json.Decoder(_OfKind)

_EXPRESSION: Final = msgspec.Raw(b'"expression"')

_ANYBODY: Final = "+8613800138000"
"""Stands for the subscriber while what a row states beside it is looked at."""

_KEPT_MAX: Final = 50_000
"""What rows state beside the number, kept so that the same is looked at once."""


class BadLine(NamedTuple):
    """A line that is no record."""

    number: int
    raw: bytes
    reason: str


@dataclass(slots=True)
class LineChunk:
    """Some lines of a file."""

    lines: list[int] = field(default_factory=list)
    """the line number of each record, from 1"""
    records: list[FileRecord] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    no_number_count: int = 0
    """of the bad, those whose number is nobody's"""
    undated_count: int = 0
    """of the bad, those that are refusals whose time alone is bad: they are among the records as well"""
    bytes_count: int = 0
    """the file's bytes read so far"""

    def __len__(self) -> int:
        return len(self.records) + len(self.bad) - self.undated_count

    def take(self, line: int, raw: bytes, record: FileRecord | None, problem: str | None = None) -> None:
        """Put a line where it belongs."""
        if record is not None:
            self.lines.append(line)
            self.records.append(record)
        if problem is not None:
            if len(raw) > limits.FILE_LINE.most:
                problem = f"{problem}; only its first {limits.FILE_LINE.most:,} {limits.FILE_LINE.unit} are kept"
            self.bad.append(BadLine(line, raw[: limits.FILE_LINE.most], problem))
            self.undated_count += record is not None


_Read = tuple[Expression | None, str | None]
"""What a line says, and what is wrong with it; of a refusal without a time that can be used, both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the operator says of a whole file, for lines that do not say it themselves, and of how it is written."""

    time: int
    """milliseconds since the epoch: best the file's own age, so that a second import says the same"""
    channel: str | None = None
    will: str | None = None
    source: str | None = None
    sender: str | None = None
    category: str | None = None
    evidence: str | None = None
    actor: str | None = None
    zone: ZoneInfo | None = None
    """of times in the file without an offset"""


class BulkFile:
    """A file of registry records. Raises `BulkFileError` where the options leave open what it is."""

    def __init__(
        self,
        file: TextFile,
        *,
        path: Path,
        given: Given,
        numbering: Numbering,
        now: int,
        form: Format | None = None,
        column: str | None = None,
        mapped: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self._file, self._given, self._numbering, self._now = file, given, numbering, now
        self.form: Format = form or format_of(file, path)
        self.layout: tables.Layout | None = None
        if self.form != "ndjson":
            separator = "" if self.form == "list" else None
            self.layout = tables.layout_of(file, asked=COLUMNS, column=column, mapped=mapped, separator=separator)
            if self.layout.places.keys() == {NUMBER}:
                _, problem = self._stated({})
                if problem is not None:
                    raise BulkFileError(
                        f"{path}: {problem}; its lines say a number alone, so say the rest: --channel, --will, --source"
                    )
            self._look_at_numbers(self.layout)

    def _look_at_numbers(self, layout: tables.Layout) -> None:
        """Raises `BulkFileError` where nearly no line of the beginning has a number: it is another column's."""
        beginning = next(self._table(layout), LineChunk())
        if tables.hardly_any(beginning.no_number_count, len(beginning)):
            raise BulkFileError(tables.other_column(self._file.name, layout, beginning.no_number_count, len(beginning)))

    @property
    def bytes_count(self) -> int:
        """The file's size."""
        return self._file.bytes_count

    @property
    def time(self) -> int:
        """The time of expressions whose lines state none, milliseconds since the epoch."""
        return self._given.time

    @property
    def has_end(self) -> bool:
        """Whether its last line has its end, once all chunks have been read."""
        return self._file.has_end

    @property
    def head(self) -> bytes:
        """What must stand above lines of this file for them to be read again."""
        head = self.layout.head if self.layout is not None else ()
        return self._file.mark + b"".join(self.line(line) for line in head)

    def line(self, raw: bytes) -> bytes:
        """A line of it with its end, in its own encoding."""
        return self._file.encoded(raw + b"\n")

    def others(self) -> Iterator[tuple[int, FileRecord]]:
        """The line numbers and records of all that are no expressions. Reads all of an NDJSON file, half a µs a line;
        lines that cannot be read are `chunks`' to tell.
        """
        if self.layout is not None:
            return
        for lines in self._file.blocks():
            for number, line in zip(lines.numbers, lines.raw, strict=True):
                with suppress(Undecodable):
                    if decode_as(_kinds, line).kind != "expression":
                        yield number, decode_file_record(line)

    def chunks(self) -> Iterator[LineChunk]:
        """All its lines. Raises `BulkFileError` where it can no longer be read."""
        try:
            for chunk in self._ndjson() if self.layout is None else self._table(self.layout):
                yield from _portions(chunk)
        except OSError as error:
            raise BulkFileError(f"{self.path}: {error.strerror}; give a file that can be read") from error

    def _ndjson(self) -> Iterator[LineChunk]:
        for lines in self._file.blocks():
            chunk = LineChunk(bytes_count=lines.bytes_count)
            for number, line in zip(lines.numbers, lines.raw, strict=True):
                try:
                    record = self._record(line)
                except Undecodable as error:
                    chunk.take(number, line, None, str(error))
                else:
                    read = self._of_person(record, line) if type(record) is Expression else (record, None)
                    chunk.take(number, line, *read)
            yield chunk

    def _record(self, line: bytes) -> FileRecord:
        """The record of a line, whose subscriber is written as people write numbers. Raises `Undecodable`."""
        try:
            return decode_file_record(line)
        except Undecodable:
            fields = decode_as(dict[str, msgspec.Raw], line)
            if fields.get("kind") != _EXPRESSION or not bytes(fields.get(NUMBER, b"")).startswith(b'"'):
                raise
            number = self._numbering.registrable(decode_as(str, fields[NUMBER]))
            if number is None:
                raise Undecodable(f"`subscriber`: {NO_PERSON}") from None
            fields[NUMBER] = msgspec.Raw(msgspec.json.encode(number))
            return decode_file_record(msgspec.json.encode(fields))

    def _of_person(self, record: Expression, line: bytes) -> _Read:
        """The expression of a line as it is written."""
        subscriber = self._numbering.registrable(record.subscriber)
        if subscriber is None:
            return None, f"`subscriber`: {NO_PERSON}"
        if subscriber != record.subscriber:
            record = msgspec.structs.replace(record, subscriber=subscriber)
        problem = time_problem(record.time, self._now)
        if len(line) <= limits.NAME.most:  # so that no text in it can exceed its limit: to look takes 2 µs
            return self._dated(record, problem)
        return self._in_time(record, problem)

    def _in_time(self, record: Expression, problem: str | None) -> _Read:
        """The expression, unless its time is bad or it exceeds a limit."""
        if exceeded := limits.excess(record):
            return None, "; ".join(map(str, exceeded))
        return self._dated(record, problem)

    def _dated(self, record: Expression, problem: str | None) -> _Read:
        """The expression, unless its time is bad."""
        if problem is None:
            return record, None
        if record.will != "refuse":
            return None, f"`time` {problem}"
        dated = msgspec.structs.replace(record, time=self.time)
        return dated, f"`time` {problem}; the refusal counts from {iso_time(self.time)}, the file's time: {STAYS}"

    def _table(self, layout: tables.Layout) -> Iterator[LineChunk]:
        # The time stands last and is read by itself: each row may have another, and the rest be alike in all.
        stated = [name for name in _STATED if name in layout.places and name != "time"]
        dated = ["time"] if "time" in layout.places else []
        kept: dict[tuple[bytes, ...], _Read] = {}
        moments: dict[bytes, tuple[int, str | None]] = {}
        for rows in tables.rows(self._file, layout, (NUMBER, *stated, *dated)):
            numbers = persons(rows.cells[0], self._numbering)
            beside = list(zip(*rows.cells[1 : 1 + len(stated)], strict=True)) if stated else [()] * len(rows.raw)
            if len(kept) > _KEPT_MAX:
                kept.clear()
            for cells in set(beside) - kept.keys():
                texts = [cell.decode().strip() for cell in cells]
                kept[cells] = self._stated(dict(zip(stated, texts, strict=True)))
            read = [kept[cells] for cells in beside]
            if dated:
                if len(moments) > _KEPT_MAX:
                    moments.clear()
                for cell in set(rows.cells[-1]) - moments.keys():
                    moments[cell] = self._moment(cell.decode().strip())
                read = [self._at(*one, *moments[cell]) for one, cell in zip(read, rows.cells[-1], strict=True)]
            yield self._records(rows, numbers, read)

    def _stated(self, stated: Mapping[str, str]) -> _Read:
        """What a row states beside number and time, completed by the options: of anybody, at the file's time."""
        fields: dict[str, object] = {
            name: value for name in _STATED if (value := getattr(self._given, name)) is not None
        }
        fields.update({name: value for name, value in stated.items() if value})
        try:
            record = msgspec.convert(fields | {NUMBER: _ANYBODY}, Expression)
        except msgspec.ValidationError as error:
            return None, without_numbers(closed_sets(error, Expression, fields))
        return self._in_time(record, None)

    def _at(self, record: Expression | None, problem: str | None, time: int, of_time: str | None) -> _Read:
        """What a row states, at its own time."""
        return (None, problem) if record is None else self._dated(_with(record, "time", time), of_time)

    def _moment(self, text: str) -> tuple[int, str | None]:
        """A row's time, or the file's where it has none, or one that cannot be used, and why not."""
        if not text:
            return self.time, None
        try:
            time = read_time(text, self._given.zone)
        except ValueError as error:
            return self.time, f"{error}; {_FORMS if self._given.zone is None else _FORMS_IN_ZONE}"
        problem = time_problem(time, self._now)
        return (time if problem is None else self.time), problem

    def _records(self, rows: TableRows, numbers: Sequence[str | None], beside: Sequence[_Read]) -> LineChunk:
        chunk = LineChunk(bytes_count=rows.bytes_count)
        lines, records = chunk.lines, chunk.records
        for place, (line, number, (record, problem)) in enumerate(zip(rows.numbers, numbers, beside, strict=True)):
            if problem is None and record is not None and number is not None and place not in rows.bad:
                lines.append(line)
                records.append(_with(record, NUMBER, number))
            elif place in rows.bad:
                chunk.take(line, rows.raw[place], None, rows.bad[place])
            elif number is None:
                chunk.no_number_count += 1
                chunk.take(line, rows.raw[place], None, NO_PERSON)
            else:
                undated = None if record is None else _with(record, NUMBER, number)
                chunk.take(line, rows.raw[place], undated, problem)
        return chunk


def _with(record: Expression, name: str, value: str | int) -> Expression:
    """The same expression with one value of another row, which was looked at: to do so again takes 0.4 µs."""
    made: Expression = record.__copy__()  # type: ignore[attr-defined]  # msgspec's stubs leave it out
    msgspec.structs.force_setattr(made, name, value)
    return made


_FORMS: Final = (
    "--timezone names the zone of times without an offset, which may then be `2026-11-25 08:00` or `2026/11/25`"
)
_FORMS_IN_ZONE: Final = "in the zone of --timezone also `2026-11-25 08:00`, `2026/11/25 8:00` and `20261125`"

STAYS: Final = "an expression with an earlier time is too late from now on, this line once it is corrected as well"
"""What holds of a refusal that was written with a time of our own."""

NO_PERSON: Final = "no person's number: a mobile or fixed one, such as 13800138000, 010-87654321 or +442079460000"


def format_of(file: TextFile, path: Path) -> Format:
    """Whether a file holds NDJSON, by its name or else by its first line; else it is a table of one column or more."""
    if path.suffix.lower() in (".ndjson", ".jsonl"):
        return "ndjson"
    if path.suffix.lower() in (".csv", ".tsv"):
        return "csv"
    start = next((lines.raw[0] for lines in file.blocks() if lines.raw), b"")
    return "ndjson" if start.lstrip().startswith(b"{") else "csv"


def _portions(chunk: LineChunk) -> Iterator[LineChunk]:
    """The chunk in such as have no more than so many records. Its bad lines go with the first."""
    if len(chunk) <= CHUNK_LINES:
        yield chunk
        return
    for start in range(0, max(1, len(chunk.records)), CHUNK_LINES):
        end = start + CHUNK_LINES
        first = start == 0
        yield LineChunk(
            chunk.lines[start:end],
            chunk.records[start:end],
            chunk.bad if first else [],
            chunk.no_number_count if first else 0,
            chunk.undated_count if first else 0,
            chunk.bytes_count,
        )
