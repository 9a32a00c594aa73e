"""Bulk files of registry records, read in chunks: NDJSON of any kind, CSV of expressions, plain lists of
numbers.

Promises that every line comes out once, as a record or as a bad line with its number and the reason, in
order, in constant memory. Must never stop at a bad line, nor let one pass as something else.

CSV has a header; its columns are the fields of an expression (subscriber, channel, will, sender,
category, time, source, evidence, actor). What a row leaves empty, and what a list cannot say at all, is
taken from the options that the operator gave. `time` is in milliseconds since the epoch or in ISO 8601
with an offset.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple

import msgspec

from stream.model.codec import Undecodable, decode_file_record
from stream.model.fields import RECORD_BYTES_MAX
from stream.model.registry import Expression, FileRecord
from stream.registry.dialling import CHINA, wire_form

Format = Literal["ndjson", "csv", "list"]

CHUNK_LINES: Final = 20_000
"""Lines handled at once: the order index and the producer work best on batches."""

LINE_BYTES_MAX: Final = RECORD_BYTES_MAX + 1
"""A record of the largest size and its line end."""

COLUMNS: Final = tuple(name for name in Expression.__struct_fields__)
_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".txt": "list",
    ".list": "list",
}


class BulkFileError(Exception):
    """A file that cannot be read at all: which, why, and the mend."""


class BadLine(NamedTuple):
    """A line that is no record."""

    number: int
    raw: bytes
    reason: str


@dataclass(slots=True)
class Chunk:
    """Some lines of a file."""

    lines: list[int] = field(default_factory=list)
    """the line number of each record, from 1"""
    records: list[FileRecord] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    bytes_count: int = 0
    """the file's bytes read so far"""

    def __len__(self) -> int:
        return len(self.records) + len(self.bad)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the operator says of a whole file, for lines that do not say it themselves."""

    time: int
    """milliseconds since the epoch: best the file's own age, so that a second import says the same"""
    channel: str | None = None
    will: str | None = None
    source: str | None = None
    sender: str | None = None
    category: str | None = None
    evidence: str | None = None
    actor: str | None = None
    country: str = CHINA

    def expression(self, stated: dict[str, str]) -> Expression:
        """The expression that a row states, completed. Raises `Undecodable`."""
        fields: dict[str, object] = {
            name: value for name in COLUMNS if name != "subscriber" and (value := getattr(self, name)) is not None
        }
        fields.update({name: value for name, value in stated.items() if value})
        if time := stated.get("time"):
            fields["time"] = milliseconds(time)
        fields["subscriber"] = wire_form(stated.get("subscriber", ""), self.country)
        try:
            return msgspec.convert(fields, Expression)
        except msgspec.ValidationError as error:
            raise Undecodable(str(error)) from error


def milliseconds(text: str) -> int:
    """A time as files write it. Raises `Undecodable`."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Undecodable(f"`time` {text!r} is neither milliseconds since the epoch nor ISO 8601") from error
    if moment.tzinfo is None:
        raise Undecodable(f"`time` {text!r} has no offset: write 2026-11-25T08:00:00+08:00")
    return round(moment.timestamp() * 1000)


def format_of(path: Path) -> Format:
    """The format that a file has by its name, or else by its first line. Raises `BulkFileError`."""
    by_name = _SUFFIXES.get(path.suffix.lower())
    if by_name is not None:
        return by_name
    try:
        with path.open("rb") as file:
            start = file.readline(LINE_BYTES_MAX).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise BulkFileError(f"{path}: {error.strerror}; give a file that can be read") from error
    if start.startswith(b"{"):
        return "ndjson"
    return "csv" if b"," in start else "list"


def read(path: Path, form: Format, given: Given) -> Iterator[Chunk]:
    """A file's lines in chunks. Raises `BulkFileError` where it cannot be read, or a CSV has no usable
    header.
    """
    try:
        with path.open("rb") as file:
            lines = _lines(file)
            match form:
                case "ndjson":
                    yield from _chunks(((number, line, _ndjson(line)) for number, line in lines), file)
                case "list":
                    yield from _chunks(((number, line, _listed(line, given)) for number, line in lines), file)
                case "csv":
                    yield from _chunks(_rows(lines, path, given), file)
    except OSError as error:
        raise BulkFileError(f"{path}: {error.strerror}; give a file that can be read") from error


_Read = FileRecord | Undecodable


def _chunks(read_lines: Iterable[tuple[int, bytes, _Read]], file: IO[bytes]) -> Iterator[Chunk]:
    chunk = Chunk()
    for number, raw, read_ in read_lines:
        if isinstance(read_, Undecodable):
            chunk.bad.append(BadLine(number, raw, str(read_)))
        else:
            chunk.lines.append(number)
            chunk.records.append(read_)
        if len(chunk) >= CHUNK_LINES:
            chunk.bytes_count = file.tell()
            yield chunk
            chunk = Chunk()
    chunk.bytes_count = file.tell()
    yield chunk


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their ends and without blank ones. Of an overlong line only the beginning is
    kept.
    """
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.rstrip(b"\r\n")
        if line.strip():
            yield number, line


def _ndjson(line: bytes) -> _Read:
    try:
        return decode_file_record(line)
    except Undecodable as error:
        return error


def _listed(line: bytes, given: Given) -> _Read:
    try:
        return given.expression({"subscriber": line.decode().strip()})
    except UnicodeDecodeError:
        return Undecodable("not UTF-8")
    except Undecodable as error:
        return error


def _rows(lines: Iterator[tuple[int, bytes]], path: Path, given: Given) -> Iterator[tuple[int, bytes, _Read]]:
    header: list[str] | None = None
    for number, line in lines:
        try:
            text = line.decode()
            # Row by row: a quotation mark that is never closed then spoils its own line and no other.
            (row,) = csv.reader([text], strict=True)
        except (UnicodeDecodeError, csv.Error, ValueError) as error:
            yield number, line, Undecodable(f"no CSV row in UTF-8: {error}")
            continue
        if header is None:
            header = _header(row, path)
            continue
        if len(row) != len(header):
            yield number, line, Undecodable(f"{len(row)} columns where the header names {len(header)}")
            continue
        stated = {name: value.strip() for name, value in zip(header, row, strict=True)}
        try:
            yield number, line, given.expression(stated)
        except Undecodable as error:
            yield number, line, error


def _header(row: list[str], path: Path) -> list[str]:
    header = [name.strip().lower() for name in row]
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or "subscriber" not in header or len(set(header)) != len(header):
        raise BulkFileError(
            f"{path}: the first line must name the columns, each once, among {', '.join(COLUMNS)}, and at "
            f"least subscriber; it is {','.join(row)[:200]!r}"
        )
    return header


def header_line(path: Path, form: Format) -> bytes:
    """What must stand above rows of this file for them to be read again: the header of a CSV, else
    nothing.
    """
    if form != "csv":
        return b""
    with path.open("rb") as file:
        return file.readline(LINE_BYTES_MAX).rstrip(b"\r\n") + b"\n"
