"""The snapshot: one file with a whole registry and the topic offsets up to which it was read.

Promises that `read` gives back what was given to `write`; that any single byte flipped, missing or added is
detected before anything is used; that its path always names a complete file, the old or the new; and
that what is checked on reading was checked before writing. The layout stands in docs/snapshot.md, so that
other programs can read it. Must never hand bytes to the Roaring library whose checksum has not been verified:
the portable format has no checksum of its own, and a damaged bitmap can pass for a good one.
"""

import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple, NoReturn

import msgspec
from pyroaring import BitMap64

from bloom import signatures
from bloom.bitmaps import Wills
from bloom.number import MSISDN_END, MSISDN_MIN
from bloom.sets import ScopedBitmap
from bloom.signatures import Keys, SignatureError
from bloom.wills import CHANNELS, EVERYTHING, Channel, Kind, Scope

MAGIC: Final = b"\x89wurao\r\n"
"""Not text, and damaged by a transfer that converts line ends (as PNG's signature is)."""

FORMAT_VERSION: Final = 1

HEADER_BYTES_MAX: Final = 1 << 20
"""What may be read before a checksum is verified; five topics of a thousand partitions take 20 kB."""

LABEL_BYTES_MAX: Final = (1 << 20) + (1 << 12)
"""The names of any record that the fold takes (1 MiB, `stream.model.limits.RECORD`) and what stands beside them: so no
record that was folded can keep a snapshot from being written."""

NAME_SHOWN_MAX: Final = 64
"""Characters of a name in a message: names of before may be as long as a record."""

RECORDS_BODY_BYTES: Final = 8 << 20
"""A section of records ends once it is this long, so that neither writer nor reader holds all of them at once."""

# Little-endian throughout. Preamble: magic, version, header bytes, file bytes, sections; then its checksum.
_PREAMBLE: Final = struct.Struct("<8sIIQI")
_CRC: Final = struct.Struct("<I")
_HEADER_AT: Final = _PREAMBLE.size + _CRC.size
# Section head: label bytes, body bytes, checksum of the body; then the checksum of these and of the label.
_SECTION: Final = struct.Struct("<IQI")
_SECTION_HEAD_BYTES: Final = _SECTION.size + _CRC.size
_RECORD: Final = struct.Struct("<III")

Record = tuple[str, bytes, bytes]
"""A registry record other than an expression, opaque here: topic, key, value."""


class SnapshotError(Exception):
    """A snapshot that must not be used or written: which file, which section, what is wrong, the mend."""


@dataclass(frozen=True)
class TopicMark:
    """How far one topic was read into the snapshot."""

    id: str
    """The topic id (KIP-516): a topic that was deleted and recreated has another."""
    offsets: tuple[int, ...]
    """For each partition the next offset to read."""


@dataclass(frozen=True)
class SnapshotMeta:
    """Cluster, time and offsets of a snapshot."""

    cluster: str
    """The id of the Kafka cluster."""
    created_ms: int
    """When the offsets were taken, in milliseconds since the epoch."""
    topics: Mapping[str, TopicMark]


@dataclass(frozen=True)
class Snapshot:
    """All that a file held."""

    meta: SnapshotMeta
    wills: Wills
    records: list[Record]


_MEND_READING: Final = "use an older snapshot, or none, and the registry is read from its topics"
_MEND_WRITING: Final = "nothing was written; this is a bug, please report it"


class _Where(NamedTuple):
    """The file being read or written, and the remedy that its errors name."""

    path: Path
    mend: str

    def reject(self, section: str, problem: str) -> NoReturn:
        raise SnapshotError(f"{self.path}: {section} {problem}; {self.mend}")

    def unreadable(self, error: OSError) -> SnapshotError:
        return SnapshotError(f"{self.path}: cannot be read: {error.strerror}; {self.mend}")


def _shown(name: str | None) -> str:
    if name is None:
        return "*"
    return name if len(name) <= NAME_SHOWN_MAX else f"{name[:NAME_SHOWN_MAX]}… ({len(name)} characters)"


class _SetLabel(msgspec.Struct, frozen=True, tag_field="section", tag="set"):
    channel: Channel
    kind: Kind
    sender: str | None
    category: str | None
    count: int

    @property
    def place(self) -> str:
        return f"{self.kind}s of ({_shown(self.sender)},{_shown(self.category)}) on {self.channel}"


class _NarrowLabel(msgspec.Struct, frozen=True, tag_field="section", tag="narrow"):
    channel: Channel
    count: int

    @property
    def place(self) -> str:
        return f"numbers with narrower scopes on {self.channel}"


class _RecordsLabel(msgspec.Struct, frozen=True, tag_field="section", tag="records"):
    count: int

    @property
    def place(self) -> str:
        return "records"


_Label = _SetLabel | _NarrowLabel | _RecordsLabel

_encoder = msgspec.json.Encoder()
_meta_decoder = msgspec.json.Decoder(SnapshotMeta)
_label_decoder: msgspec.json.Decoder[_Label] = msgspec.json.Decoder(_Label)


# Writing


def write(path: Path, *, meta: SnapshotMeta, wills: Wills, records: Iterable[Record], keys: Keys | None = None) -> int:
    """Write the snapshot to `path`, with keys signed, and return its size in bytes.

    It is written under another name beside it, forced to the disk, and renamed: `path` is never half written. Its
    signature is there before it.
    Readable by its owner alone, for it holds subscribers' numbers. Raises SnapshotError for what no reader
    would accept, OSError when the disk fails; either leaves what was at `path` as it is.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
        try:
            size = _write_all(file.file, _Where(path, _MEND_WRITING), meta, wills, records)
            file.flush()
            os.fsync(file.fileno())
            if keys is not None:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as written:
                    keys.sign(path, written)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return size


def _write_all(file: IO[bytes], where: _Where, meta: SnapshotMeta, wills: Wills, records: Iterable[Record]) -> int:
    _check_meta(where, meta)
    header = _encoder.encode(meta)
    if len(header) > HEADER_BYTES_MAX:
        where.reject("header", f"takes {len(header)} bytes, the limit is {HEADER_BYTES_MAX}")
    file.write(bytes(_HEADER_AT) + header)
    sections = 0
    for label, body in _sections(where, wills, records):
        text = _encoder.encode(label)
        if len(text) > LABEL_BYTES_MAX:
            where.reject(label.place, f"has a label of {len(text)} bytes, the limit is {LABEL_BYTES_MAX}")
        head = _SECTION.pack(len(text), len(body), zlib.crc32(body))
        file.write(head + _CRC.pack(zlib.crc32(text, zlib.crc32(head))) + text)
        file.write(body)
        sections += 1
    size = file.tell()
    preamble = _PREAMBLE.pack(MAGIC, FORMAT_VERSION, len(header), size, sections)
    file.seek(0)
    file.write(preamble + _CRC.pack(zlib.crc32(header, zlib.crc32(preamble))))
    return size


def _sections(where: _Where, wills: Wills, records: Iterable[Record]) -> Iterator[tuple[_Label, bytes]]:
    for channel, kind, scope, bitmap in wills.scopes():
        label = _SetLabel(channel, kind, scope.sender, scope.category, len(bitmap))
        _check_set(where, label, bitmap)
        yield label, bitmap.serialize()
    for channel in CHANNELS:
        narrow = wills.narrow(channel)
        if narrow:
            narrow_label = _NarrowLabel(channel, len(narrow))
            _check_bitmap(where, narrow_label, narrow)
            yield narrow_label, narrow.serialize()
    body = bytearray()
    count = 0
    for topic, key, value in records:
        name = topic.encode()
        body += _RECORD.pack(len(name), len(key), len(value)) + name + key + value
        count += 1
        if len(body) >= RECORDS_BODY_BYTES:
            yield _RecordsLabel(count), bytes(body)
            body.clear()
            count = 0
    if count:
        yield _RecordsLabel(count), bytes(body)


# Reading


def read(path: Path, keys: Keys | None = None) -> Snapshot:
    """Everything in the file, each section verified before it is used, and with keys the whole file before that.

    The file is mapped, and bitmaps are made straight from the mapping; nothing of it stays mapped. Raises
    SnapshotError if the file is absent, damaged, not of this format or, with keys, not signed. Takes about as long as
    its checksums: a quarter of a second for each gigabyte, and with keys some 0.6 s more.
    """
    where = _Where(path, _MEND_READING)
    try:
        with signatures.mapped(path, keys) as (_, mapped), memoryview(mapped) as view:
            return _Reader(where, view).snapshot()
    except OSError as error:
        raise where.unreadable(error) from error
    except SignatureError as error:
        raise SnapshotError(f"{error}; until then {_MEND_READING}") from error


def is_snapshot(path: Path) -> bool:
    """Whether a file begins as a snapshot does: what tells it from a text file. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_meta(path: Path) -> SnapshotMeta:
    """The metadata alone: quick, for choosing among files. Verifies header and length of the file only.

    Raises SnapshotError as `read` does.
    """
    where = _Where(path, _MEND_READING)
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_AT + HEADER_BYTES_MAX)
            return _read_header(where, memoryview(start), os.fstat(file.fileno()).st_size)[0]
    except OSError as error:
        raise where.unreadable(error) from error


def _read_header(where: _Where, view: memoryview, size: int) -> tuple[SnapshotMeta, int, int]:
    """The metadata, the number of sections, and where the first begins."""
    if len(view) < _HEADER_AT:
        where.reject("header", f"is cut short: the file has {size} bytes")
    magic, version, header_bytes, file_bytes, sections = _PREAMBLE.unpack_from(view)
    if magic != MAGIC:
        where.reject("header", "does not begin as a snapshot does")
    if version != FORMAT_VERSION:
        where.reject("header", f"is of format version {version}; this program reads version {FORMAT_VERSION}")
    if header_bytes > HEADER_BYTES_MAX or _HEADER_AT + header_bytes > len(view):
        where.reject("header", f"claims {header_bytes} bytes, more than there are or may be")
    header = bytes(view[_HEADER_AT : _HEADER_AT + header_bytes])
    (checksum,) = _CRC.unpack_from(view, _PREAMBLE.size)
    if checksum != zlib.crc32(header, zlib.crc32(bytes(view[: _PREAMBLE.size]))):
        where.reject("header", "does not match its checksum")
    if file_bytes != size:
        where.reject("header", f"says that the file has {file_bytes} bytes; it has {size}")
    try:
        meta = _meta_decoder.decode(header)
    except msgspec.MsgspecError as error:
        where.reject("header", f"cannot be decoded: {error}")
    _check_meta(where, meta)
    return meta, int(sections), int(_HEADER_AT + header_bytes)


class _Reader:
    """One pass over a mapped file."""

    def __init__(self, where: _Where, view: memoryview) -> None:
        self._where = where
        self._view = view
        self._entries: dict[tuple[Channel, Kind, Scope], ScopedBitmap] = {}
        self._narrow: dict[Channel, BitMap64] = {}
        self._records: list[Record] = []

    def snapshot(self) -> Snapshot:
        meta, sections, at = _read_header(self._where, self._view, len(self._view))
        for index in range(sections):
            at = self._section(index, at)
        if at != len(self._view):
            self._where.reject("end", f"comes {len(self._view) - at} bytes after the last section")
        for channel, kind, scope in self._entries:
            if scope != EVERYTHING and channel not in self._narrow:
                self._where.reject(_NarrowLabel(channel, 0).place, f"are missing, though there are {kind}s of {scope}")
        narrow = {channel: self._narrow.get(channel, BitMap64()) for channel in CHANNELS}
        return Snapshot(meta, Wills.of_bitmaps(self._entries.values(), narrow), self._records)

    def _section(self, index: int, at: int) -> int:
        """Take in the section that begins at `at`; return where it ends."""
        name = f"section {index}"
        if at + _SECTION_HEAD_BYTES > len(self._view):
            self._where.reject(name, "is cut short")
        label_bytes: int
        body_bytes: int
        label_bytes, body_bytes, body_checksum = _SECTION.unpack_from(self._view, at)
        (head_checksum,) = _CRC.unpack_from(self._view, at + _SECTION.size)
        label_at = at + _SECTION_HEAD_BYTES
        body_at = label_at + label_bytes
        end = body_at + body_bytes
        if label_bytes > LABEL_BYTES_MAX or end > len(self._view):
            self._where.reject(
                name,
                f"claims {label_bytes} and {body_bytes} bytes, more than there are or may be",
            )
        text = bytes(self._view[label_at:body_at])
        if head_checksum != zlib.crc32(text, zlib.crc32(bytes(self._view[at : at + _SECTION.size]))):
            self._where.reject(name, "has a head that does not match its checksum")
        try:
            label = _label_decoder.decode(text)
        except msgspec.MsgspecError as error:
            self._where.reject(name, f"has a label that cannot be decoded: {error}")
        # Released before any error leaves: the mapping cannot be closed while a part of it is in use.
        with self._view[body_at:end] as body:
            if body_checksum != zlib.crc32(body):
                self._where.reject(f"{name} ({label.place})", "does not match its checksum")
            self._take(label, body)
        return end

    def _take(self, label: _Label, body: memoryview) -> None:
        match label:
            case _SetLabel(channel, kind, sender, category):
                scope = Scope(sender, category)
                if (channel, kind, scope) in self._entries:
                    self._where.reject(label.place, "stands twice")
                bitmap = self._bitmap(label, body)
                _check_set(self._where, label, bitmap)
                self._entries[channel, kind, scope] = ScopedBitmap(channel, kind, scope, bitmap)
            case _NarrowLabel(channel):
                if channel in self._narrow:
                    self._where.reject(label.place, "stands twice")
                self._narrow[channel] = self._bitmap(label, body)
                _check_bitmap(self._where, label, self._narrow[channel])
            case _RecordsLabel(count):
                self._records.extend(self._records_of(body, count))

    def _bitmap(self, label: _Label, body: memoryview) -> BitMap64:
        try:
            return BitMap64.deserialize(body)  # type: ignore[arg-type] # takes any buffer, says bytes
        except (ValueError, IndexError) as error:
            self._where.reject(label.place, f"is no Roaring bitmap of the portable 64-bit format: {error}")

    def _records_of(self, body: memoryview, count: int) -> Iterator[Record]:
        at = 0
        for _ in range(count):
            if at + _RECORD.size > len(body):
                self._where.reject("records", f"has fewer than the {count} that its label names")
            topic_bytes, key_bytes, value_bytes = _RECORD.unpack_from(body, at)
            key_at = at + _RECORD.size + topic_bytes
            value_at = key_at + key_bytes
            name = bytes(body[at + _RECORD.size : key_at])
            at = value_at + value_bytes
            if at > len(body):
                self._where.reject("records", "has a record that reaches beyond it")
            try:
                topic = name.decode()
            except UnicodeDecodeError:
                self._where.reject("records", "has a topic that is not UTF-8")
            yield topic, bytes(body[key_at:value_at]), bytes(body[value_at:at])
        if at != len(body):
            self._where.reject("records", f"has more than the {count} that its label names")


# What both sides check


def _check_meta(where: _Where, meta: SnapshotMeta) -> None:
    if meta.created_ms < 0:
        where.reject("header", f"has created_ms {meta.created_ms}, before the epoch")
    for topic, mark in meta.topics.items():
        if any(offset < 0 for offset in mark.offsets):
            where.reject("header", f"has a negative offset for {topic}: {mark.offsets}")


def _check_set(where: _Where, label: _SetLabel, bitmap: BitMap64) -> None:
    if label.kind == "consent" and (label.sender is None or label.category is None):
        where.reject(label.place, "leave a name open, which no consent does")
    _check_bitmap(where, label, bitmap)


def _check_bitmap(where: _Where, label: _SetLabel | _NarrowLabel, bitmap: BitMap64) -> None:
    if not bitmap or len(bitmap) != label.count:
        where.reject(label.place, f"has {len(bitmap)} numbers; the label says {label.count}, at least one")
    if bitmap.min() < MSISDN_MIN or bitmap.max() >= MSISDN_END:
        where.reject(label.place, "has a number outside E.164, which no subscriber has")
