"""Snapshots: what was written is read back, and damage is always detected."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.sets import ScopedBitmap
from bloom.snapshot import (
    FORMAT_VERSION,
    MAGIC,
    RECORDS_BODY_BYTES,
    Record,
    SnapshotError,
    SnapshotMeta,
    TopicMark,
    read,
    read_meta,
    write,
)
from bloom.wills import CHANNELS, EVERYTHING, ExpressionColumns, ExpressionRow, Scope

NUMBERS = [Msisdn(8613800138000 + 70_000 * i) for i in range(4)]
META = SnapshotMeta(
    cluster="5L6g3nShT-eMCtK--X86sw",
    created_ms=1_795_500_000_000,
    topics={
        "registry.expressions": TopicMark(id="Wqk0vXdcSvGcEeBdTJbYqA", offsets=(0, 17, 2**62)),
        "registry.senders": TopicMark(id="某", offsets=()),
    },
)
RECORDS: list[Record] = [
    ("registry.senders", b"ORG-1", b'{"kind":"sender"}'),
    ("registry.orders", b"", b"\x00\xff"),
]
EXPRESSIONS = [
    ExpressionRow(NUMBERS[0], "sms", "refuse", None, None),
    ExpressionRow(NUMBERS[1], "sms", "refuse", "ORG-1", None),
    ExpressionRow(NUMBERS[1], "sms", "consent", "ORG-1", "finance"),
    ExpressionRow(NUMBERS[2], "call", "refuse", None, "金融"),
]

damage = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def wills_of(expressions: list[ExpressionRow]) -> Wills:
    wills = Wills()
    wills.apply(expressions)
    return wills


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.snapshot"


@pytest.fixture
def snapshot(path: Path) -> Path:
    write(path, meta=META, wills=wills_of(EXPRESSIONS), records=RECORDS)
    return path


def flipped(data: bytes, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def test_what_was_written_comes_back(path: Path) -> None:
    wills = wills_of(EXPRESSIONS)
    size = write(path, meta=META, wills=wills, records=iter(RECORDS))
    assert size == path.stat().st_size
    found = read(path)
    assert found.meta == META
    assert found.records == RECORDS
    assert found.wills.state_equal(wills)
    assert read_meta(path) == META


@damage
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NUMBERS),
            st.sampled_from(CHANNELS),
            st.sampled_from(["ORG-1", "ORG 2|*", '"'] * 2 + [None]),
            st.sampled_from(["finance", "金融", None]),
        )
    ),
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.binary(), st.binary())),
)
def test_any_wills_and_records_come_back_and_go_on_as_the_original(
    tmp_path: Path,
    refused: list[tuple[Msisdn, str, str | None, str | None]],
    records: list[Record],
) -> None:
    path = tmp_path / "any.snapshot"
    log = [
        ExpressionRow(number, "sms" if channel == "sms" else "call", "refuse", sender, category)
        for number, channel, sender, category in refused
    ]
    original = wills_of(log)
    write(path, meta=META, wills=original, records=records)
    found = read(path)
    assert found.records == records
    assert found.wills.state_equal(original)
    # Restored beside the state: which numbers have narrower scopes, that a refusal of everything must clear.
    everything = [ExpressionRow(number, "sms", "refuse", None, None) for number in NUMBERS[:2]]
    found.wills.apply(everything)
    original.apply(everything)
    assert found.wills.state_equal(original)


def test_an_empty_registry_comes_back(path: Path) -> None:
    write(path, meta=SnapshotMeta(cluster="", created_ms=0, topics={}), wills=Wills(), records=[])
    found = read(path)
    assert found.wills.state_equal(Wills())
    assert found.records == []


def test_the_wills_of_an_overlay_are_written_folded(path: Path) -> None:
    overlay = Overlay(wills_of(EXPRESSIONS))
    overlay.apply([ExpressionRow(NUMBERS[1], "sms", "refuse", None, None)])
    write(path, meta=META, wills=overlay.folded(), records=[])
    assert overlay.state_equal(read(path).wills)


def test_more_records_than_a_section_takes_keep_their_order(path: Path) -> None:
    records: list[Record] = [("registry.wordlists", bytes([i]), bytes(RECORDS_BODY_BYTES // 3)) for i in range(8)]
    write(path, meta=META, wills=Wills(), records=records)
    assert read(path).records == records


# Damage


def test_any_single_flipped_byte_is_found(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    for at in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            snapshot.write_bytes(flipped(whole, at, mask))
            with pytest.raises(SnapshotError):
                read(snapshot)


def test_any_single_missing_byte_is_found(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    for at in range(len(whole)):
        snapshot.write_bytes(whole[:at] + whole[at + 1 :])
        with pytest.raises(SnapshotError):
            read(snapshot)


@pytest.mark.parametrize("extra", [b"\x00", b"\n", b"\xff"])
def test_any_single_added_byte_is_found(snapshot: Path, extra: bytes) -> None:
    whole = snapshot.read_bytes()
    for at in range(len(whole) + 1):
        snapshot.write_bytes(whole[:at] + extra + whole[at:])
        with pytest.raises(SnapshotError):
            read(snapshot)


def test_any_file_cut_short_is_found(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    for length in range(len(whole)):
        snapshot.write_bytes(whole[:length])
        with pytest.raises(SnapshotError):
            read(snapshot)
        with pytest.raises(SnapshotError):
            read_meta(snapshot)


def test_a_damaged_header_is_found_without_reading_the_rest(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    (header_bytes,) = struct.unpack_from("<I", whole, 12)
    header_end = 32 + header_bytes
    for at in range(header_end):
        snapshot.write_bytes(flipped(whole, at, 0x40))
        with pytest.raises(SnapshotError):
            read_meta(snapshot)


@damage
@given(st.binary(max_size=200))
def test_any_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    for data in (content, MAGIC + content):
        path.write_bytes(data)
        with pytest.raises(SnapshotError):
            read(path)
        with pytest.raises(SnapshotError):
            read_meta(path)


@pytest.mark.parametrize("letters", ["s", "词", "\x01"])
def test_the_names_of_any_record_that_was_folded_can_be_written(path: Path, letters: str) -> None:
    longest = (1 << 20) // len(msgspec.json.encode(letters)[1:-1]) * letters
    wills = Wills()
    wills.apply_columns(ExpressionColumns.of([ExpressionRow(NUMBERS[0], "sms", "refuse", longest, None)]))
    write(path, meta=META, wills=wills, records=())
    assert read(path).wills.stance("sms", NUMBERS[0], longest, "finance") == "refused"


# What another program might write: good checksums, bad content


def file_of(*sections: tuple[bytes, bytes], header: bytes = b'{"cluster":"","created_ms":0,"topics":{}}') -> bytes:
    """A file with good lengths and checksums, made by the letter of docs/snapshot.md."""
    rest = header
    for label, body in sections:
        head = struct.pack("<IQI", len(label), len(body), zlib.crc32(body))
        rest += head + struct.pack("<I", zlib.crc32(head + label)) + label + body
    start = struct.pack("<8sIIQI", MAGIC, FORMAT_VERSION, len(header), 32 + len(rest), len(sections))
    return start + struct.pack("<I", zlib.crc32(start + header)) + rest


SET = b'{"section":"set","channel":"sms","kind":"refusal","sender":null,"category":null,"count":1}'
ONE = BitMap64([NUMBERS[0]]).serialize()


def test_a_file_written_by_the_letter_of_the_specification_is_read(path: Path) -> None:
    record = struct.pack("<III", 1, 2, 3) + b"tkkvvv"
    path.write_bytes(file_of((SET, ONE), (b'{"section":"records","count":1}', record)))
    found = read(path)
    assert found.wills.stance("sms", NUMBERS[0], None, "finance") == "refused"
    assert found.records == [("t", b"kk", b"vvv")]


NARROW_SET = SET.replace(b'"sender":null', b'"sender":"ORG-1"')


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ([(SET, b"\x01" * 24)], "no Roaring bitmap"),
        ([(SET, b"")], "no Roaring bitmap"),
        ([(SET, ONE[:-1])], "no Roaring bitmap"),
        ([(SET.replace(b":1}", b":2}"), ONE)], "label says 2"),
        ([(SET, BitMap64([7]).serialize())], "outside E.164"),
        ([(SET, BitMap64([10**15]).serialize())], "outside E.164"),
        ([(SET, ONE), (SET, ONE)], "stands twice"),
        ([(SET.replace(b"refusal", b"consent"), ONE)], "leave a name open"),
        ([(SET.replace(b"sms", b"fax"), ONE)], "cannot be decoded"),
        ([(b"{}", ONE)], "cannot be decoded"),
        ([(b"\xff", ONE)], "cannot be decoded"),
        ([(NARROW_SET, ONE)], "narrower scopes on sms are missing"),
        ([(b'{"section":"records","count":2}', struct.pack("<III", 0, 0, 0))], "fewer than the 2"),
        ([(b'{"section":"records","count":0}', b"\x00")], "more than the 0"),
        ([(b'{"section":"records","count":1}', struct.pack("<III", 0, 0, 1))], "reaches beyond"),
        ([(b'{"section":"records","count":1}', struct.pack("<III", 1, 0, 0) + b"\xff")], "not UTF-8"),
    ],
)
def test_content_that_no_writer_should_write_is_refused_by_name(
    path: Path, sections: list[tuple[bytes, bytes]], complaint: str
) -> None:
    path.write_bytes(file_of(*sections))
    with pytest.raises(SnapshotError, match=complaint):
        read(path)


def test_bytes_after_the_last_section_are_refused_even_if_the_length_allows_for_them(path: Path) -> None:
    header = b'{"cluster":"","created_ms":0,"topics":{}}'
    start = struct.pack("<8sIIQI", MAGIC, FORMAT_VERSION, len(header), 32 + len(header) + 1, 0)
    path.write_bytes(start + struct.pack("<I", zlib.crc32(start + header)) + header + b"\x00")
    with pytest.raises(SnapshotError, match="1 bytes after the last section"):
        read(path)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"cluster":"","created_ms":-1,"topics":{}}',
        b'{"cluster":"","created_ms":0,"topics":{"t":{"id":"","offsets":[-1]}}}',
    ],
)
def test_a_header_that_says_nothing_sensible_is_refused(path: Path, header: bytes) -> None:
    path.write_bytes(file_of(header=header))
    with pytest.raises(SnapshotError, match="header"):
        read(path)
    with pytest.raises(SnapshotError, match="header"):
        read_meta(path)


def test_a_newer_format_is_named(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:8] + struct.pack("<I", 2) + whole[12:])
    with pytest.raises(SnapshotError, match="format version 2; this program reads version 1"):
        read(snapshot)


def test_an_error_names_file_section_and_mend(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    at = whole.index(ONE)
    snapshot.write_bytes(flipped(whole, at + len(ONE) - 1, 1))
    with pytest.raises(SnapshotError) as caught:
        read(snapshot)
    message = str(caught.value)
    assert str(snapshot) in message
    assert "refusals of (*,*) on sms" in message
    assert "does not match its checksum" in message
    assert "use an older snapshot" in message


@pytest.mark.parametrize("reader", [read, read_meta])
def test_an_absent_file_is_a_snapshot_error_too(path: Path, reader: Callable[[Path], object]) -> None:
    with pytest.raises(SnapshotError, match="cannot be read: No such file"):
        reader(path)


# Writing


def test_what_no_reader_would_accept_is_not_written_and_the_older_file_stays(snapshot: Path) -> None:
    before = snapshot.read_bytes()
    short = Wills.of_bitmaps([ScopedBitmap("sms", "refusal", EVERYTHING, BitMap64([7]))])
    open_consent = Wills.of_bitmaps([ScopedBitmap("sms", "consent", Scope("ORG-1", None), BitMap64(NUMBERS))])
    for wills in (short, open_consent):
        with pytest.raises(SnapshotError, match="nothing was written"):
            write(snapshot, meta=META, wills=wills, records=[])
    bad_meta = SnapshotMeta(cluster="", created_ms=0, topics={"t": TopicMark(id="", offsets=(-1,))})
    with pytest.raises(SnapshotError, match="negative offset"):
        write(snapshot, meta=bad_meta, wills=Wills(), records=[])
    assert snapshot.read_bytes() == before
    assert list(snapshot.parent.iterdir()) == [snapshot]


def test_a_writer_that_fails_midway_leaves_the_older_file(snapshot: Path) -> None:
    before = snapshot.read_bytes()

    def failing() -> list[Record]:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write(snapshot, meta=META, wills=Wills(), records=(record for _ in [0] for record in failing()))
    assert snapshot.read_bytes() == before
    assert list(snapshot.parent.iterdir()) == [snapshot]


def test_a_snapshot_is_readable_by_its_owner_alone(snapshot: Path) -> None:
    assert snapshot.stat().st_mode & 0o777 == 0o600
