"""Lines out of other people's files: whatever their encoding and line ends, as numbered lines in UTF-8.

Read are UTF-8, with or without its mark (BOM), UTF-16 with its mark, and GB 18030, which is what Excel writes in China;
lines end at LF, CRLF or CR. Without a mark a file is UTF-8 if all of it is, and GB 18030 if more of its lines that are
not ASCII read as that alone than as UTF-8: both are looked at over the whole file, before anything is read. Whatever
else it is, the operator says so (`encoding`).

Promises every line that is not blank once, in order, in constant memory, with its number in the file, and that
`encoded` of a line gives its bytes again. A line that the encoding cannot read comes out as bytes that are no UTF-8,
so that whoever reads it finds it bad. Must never split a line or join two: of an overlong one only the beginning is
kept. Nor read on for ever: of a file that grows, what was there when it was opened is read.
"""

import codecs
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from stream.feed import workbooks
from stream.feed.workbooks import WorkbookError
from stream.model import limits

BLOCK_BYTES: Final = 1 << 20
"""Read at once: some 20,000 lines of a CSV, and 90,000 numbers."""

LINE_BYTES_MAX: Final = limits.FILE_LINE.most

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KNOWN: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16-le",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
}
"""Names that `--encoding` takes; GBK and GB 2312 are parts of GB 18030."""

ENCODINGS: Final = tuple(_KNOWN)

_FOREIGN: Final = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file (.xls)"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)"),
    (b"%PDF", "a PDF"),
)

_MARKUP: Final = re.compile(rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|\?xml|html|head|meta|body|style|table)\b")
"""How a page begins, which some programs write under the name of a workbook or a CSV."""


class BulkFileError(Exception):
    """A file that cannot be read at all: which, why, and the mend."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines in UTF-8, without their ends and without blank ones."""

    numbers: Sequence[int]
    """of each, from 1"""
    raw: Sequence[bytes]
    bytes_count: int
    """the file's bytes read so far"""
    has_mark: bool = True
    """whether a quotation mark may be among them"""


class TextFile:
    """A file of lines, ready to be read: any number of times, also where it came by a pipe."""

    def __init__(self, file: BinaryIO, *, name: str, encoding: str | None) -> None:
        self.name = name
        self.has_end = True
        """Whether the last line has its end, once `blocks` has come to it: else the file may be cut."""
        self._file = file
        self.bytes_count = file.seek(0, 2)
        self.mark = b""
        """What a file in this one's encoding begins with, where this one does."""
        self._rows: workbooks.Workbook | None = None
        self.encoding = self._encoding(encoding)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def blocks(self, *, blanks: bool = False) -> Iterator[Lines]:
        """The lines from the first on, some at a time. Raises `BulkFileError` where the file is no text.

        With `blanks` the blank ones as well, for those who look for cells of several lines.
        """
        for lines in self._blocks():
            yield lines if blanks else without_blanks(lines)

    def _blocks(self) -> Iterator[Lines]:
        if self._rows is not None:
            for first, rows in self._rows.lines():
                yield Lines(range(first, first + len(rows)), rows, self.bytes_count)
            return
        self.has_end = True
        number = 1
        rest = b""
        for data, last, read_count in self._decoded():
            block, end, rest = (rest + data).rpartition(b"\n")
            if last and rest:
                block, end, rest = (block + end + rest), b"\n", b""
                self.has_end = block.rpartition(b"\n")[2].isspace()
            rest = rest[: LINE_BYTES_MAX + 1]  # what is longer than this stays so, whatever follows
            if end:
                lines = block.split(b"\n")
                yield Lines(range(number, number + len(lines)), lines, read_count, b'"' in block)
                number += len(lines)

    def encoded(self, line: bytes) -> bytes:
        """A line in the file's own encoding."""
        if self.encoding == "utf-8":
            return line
        return line.decode("utf-8", "surrogatepass").encode(self.encoding, _errors(self.encoding))

    def _decoded(self) -> Iterator[tuple[bytes, bool, int]]:
        """The text in UTF-8 with LF alone at the ends of lines; whether it is the last of it; bytes read."""
        read_count = len(self.mark)
        decoder = None
        if self.encoding != "utf-8":
            decoder = codecs.getincrementaldecoder(self.encoding)(_errors(self.encoding))
        held = b""
        while True:
            data = self._read(read_count)
            read_count += len(data)
            last = not data
            if decoder is not None:
                data = _decoded_by(decoder, data).encode("utf-8", "surrogatepass")
            data = held + data
            held = b""
            if b"\r" in data:
                if data.endswith(b"\r") and not last:
                    data, held = data[:-1], b"\r"  # its LF may come with the next block
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            yield data, last, read_count
            if last:
                return

    def _read(self, start: int) -> bytes:
        """The bytes from there on, whatever else was read meanwhile; none behind what was there at opening."""
        self._file.seek(start)
        return self._file.read(max(0, min(BLOCK_BYTES, self.bytes_count - start)))

    def _encoding(self, wanted: str | None) -> str:
        self._file.seek(0)
        start = self._file.read(BLOCK_BYTES)
        if workbooks.is_zip(start):
            try:
                self._rows = workbooks.Workbook(self._file, name=self.name)
            except WorkbookError as error:
                raise BulkFileError(str(error)) from error
            self.mark = codecs.BOM_UTF8  # for the program that made the workbook
            return "utf-8"
        for magic, what in _FOREIGN:
            if start.startswith(magic):
                raise BulkFileError(f"{self.name}: {what}; give it as .xlsx, as CSV or as plain lines")
        if _MARKUP.match(start):
            raise BulkFileError(
                f"{self.name}: a page of HTML or XML, whatever its name; open it in a spreadsheet, and save it "
                "as .xlsx or CSV"
            )
        self.mark, marked = next(((mark, name) for mark, name in _MARKS if start.startswith(mark)), (b"", None))
        if marked == "utf-32":
            raise BulkFileError(f"{self.name}: UTF-32 is not read; save it as UTF-8")
        if wanted is not None:
            chosen = _KNOWN.get(wanted.lower())
            if chosen is None:
                raise BulkFileError(f"no encoding {wanted!r} is read: give one of {', '.join(ENCODINGS)}")
            return marked if marked is not None and wanted.lower() == "utf-16" else chosen
        if marked is not None:
            return marked
        if b"\0" in start:
            raise BulkFileError(
                f"{self.name}: has zero bytes: if it is UTF-16 without its mark, say --encoding utf-16-le; "
                "else it is no text"
            )
        return self._found()

    def _found(self) -> str:
        """The encoding of a file without a mark, by the whole of it."""
        as_utf8 = other = gb18030 = 0
        read_count = 0
        rest = b""
        while data := self._read(read_count):
            read_count += len(data)
            block, _, rest = (rest + data.replace(b"\r", b"\n")).rpartition(b"\n")
            rest = rest[: LINE_BYTES_MAX + 1]
            some = _looked_at(block)
            as_utf8, other, gb18030 = as_utf8 + some[0], other + some[1], gb18030 + some[2]
        some = _looked_at(rest)
        as_utf8, other, gb18030 = as_utf8 + some[0], other + some[1], gb18030 + some[2]
        return "gb18030" if gb18030 > as_utf8 and 2 * gb18030 > other else "utf-8"


def _looked_at(block: bytes) -> tuple[int, int, int]:
    """Of the lines that are not ASCII: how many are UTF-8, how many are not, and how many of those GB 18030."""
    as_utf8 = other = gb18030 = 0
    if block.isascii():
        return 0, 0, 0
    for line in block.split(b"\n"):
        if line.isascii():
            continue
        if _is(line, "utf-8"):
            as_utf8 += 1
        else:
            other += 1
            gb18030 += _is(line, "gb18030")
    return as_utf8, other, gb18030


def _is(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _errors(encoding: str) -> str:
    """How bytes that the encoding does not know are kept: as surrogates, which UTF-8 does not know."""
    return "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"


def _decoded_by(decoder: codecs.IncrementalDecoder, data: bytes) -> str:
    try:
        # Half a character at the very end is dropped: the line that it ends has no end, and that is reported.
        return decoder.decode(data, final=False)
    except UnicodeDecodeError as error:
        raise BulkFileError(f"not the encoding that it was read in: {error}; name it by --encoding") from error


def without_blanks(lines: Lines) -> Lines:
    """The same without those that have nothing in them."""
    raw = lines.raw
    if all(raw) and not any(line.isspace() for line in raw):
        return lines
    kept = [place for place, line in enumerate(raw) if line and not line.isspace()]
    numbers = [lines.numbers[place] for place in kept]
    return Lines(numbers, [raw[place] for place in kept], lines.bytes_count, lines.has_mark)


def opened(path: str | Path, *, encoding: str | None = None) -> TextFile:
    """The file at a path, or what comes on standard input for `-`. Raises `BulkFileError`."""
    try:
        if str(path) == "-":
            file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # as long as what is read of it
            shutil.copyfileobj(sys.stdin.buffer, file)
            return TextFile(file, name="standard input", encoding=encoding)
        if not Path(path).is_file():
            Path(path).stat()
            raise BulkFileError(f"{path}: not a file; give one that can be read, or - for standard input")
        return TextFile(Path(path).open("rb"), name=str(path), encoding=encoding)
    except OSError as error:
        raise BulkFileError(f"{path}: {error.strerror}; give a file that can be read") from error
