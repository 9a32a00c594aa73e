"""The kinds of hostile events: how each is made from a good one, and what must become of it.

A table, `KINDS`. Most kinds are small; the large ones (`Kind.one_in`) are rare, for a broker carries many thousand of
300 bytes in the time of one. Pure.

What the broker itself refuses is not made: times more than an hour ahead, batches that do not decompress, whatever is
larger than its topic takes.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, NamedTuple

import msgspec

from stream.model.fields import TIME_MAX, EventKind
from stream.model.limits import BATCH, BATCH_RECORDS, EVENT_FIELD, EVENT_ID, RECORD, TEXT

Fate = Literal["letter", "decision"]
Codec = Literal["none", "gzip", "snappy", "lz4", "zstd"]
CODECS: Final[tuple[Codec, ...]] = ("none", "gzip", "snappy", "lz4", "zstd")
"""In the order of their numbers in Kafka's message format 2."""

YEAR_MS: Final = 365 * 24 * 3_600_000
KEY_BYTES_MAX: Final = (2 << 20) - 4_096
"""As long as a key can be in a topic that takes 2 MiB."""

Fields = dict[bytes, bytes]
"""An event's fields as they stand in JSON."""


class Draft(NamedTuple):
    """What a kind makes an event of."""

    rng: random.Random
    of: EventKind
    fields: Fields
    """those of a good event, for it to spoil"""


class Made(NamedTuple):
    """An event as it was made: its value, and what else of its record is out of order."""

    value: bytes | None
    key: bytes | Literal["subscriber"] | None = "subscriber"
    timestamp: int | None = None
    """milliseconds; None: now"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of hostile event."""

    name: str
    make: Callable[[Draft], Made]
    reason: str | None = None
    """what the reason of its dead letter holds; None: it is decided"""
    one_in: int = 0
    """one in so many hostile events, in a batch of its own; 0: the rest, in equal parts"""
    of: tuple[EventKind, ...] = ("sms", "call", "reply")
    codecs: tuple[Codec, ...] = CODECS
    together: int = 1
    """so many of a rare kind come in one batch"""
    records: int = 1
    """of a batch that comes as one dead letter, as it cannot be read"""

    @property
    def fate(self) -> Fate:
        """What must become of it."""
        return "decision" if self.reason is None else "letter"


def _json(fields: Fields) -> bytes:
    return b"{" + b",".join(b'"%b":%b' % one for one in fields.items()) + b"}"


def _text(characters: str) -> bytes:
    """A text as it stands in JSON."""
    return msgspec.json.encode(characters)


def _with(**spoiled: Callable[[random.Random], bytes]) -> Callable[[Draft], Made]:
    """A good event but for these fields, each made anew."""
    named = {name.rstrip("_").encode(): make for name, make in spoiled.items()}

    def make(draft: Draft) -> Made:
        return Made(_json(draft.fields | {name: make(draft.rng) for name, make in named.items()}))

    return make


def _one_with(names: Sequence[bytes], values: Callable[[random.Random], bytes]) -> Callable[[Draft], Made]:
    """A good event but for one of these fields."""
    return lambda draft: Made(_json(draft.fields | {draft.rng.choice(names): values(draft.rng)}))


def _chosen(*values: bytes) -> Callable[[random.Random], bytes]:
    return lambda rng: rng.choice(values)


# What is no event, and becomes a dead letter.


def _cut_short(draft: Draft) -> Made:
    whole = _json(draft.fields)
    return Made(whole[: draft.rng.randrange(len(whole))])


def _noise(draft: Draft) -> Made:
    return Made(draft.rng.randbytes(draft.rng.randint(1, 300)))


def _lacking(draft: Draft) -> Made:
    lost = draft.rng.choice((b"kind", b"id", b"time", b"to"))
    return Made(_json({name: value for name, value in draft.fields.items() if name != lost}))


def _of_another_kind(draft: Draft) -> Made:
    """One that no topic of events has: an urgent topic takes them all."""
    return Made(_json(draft.fields | {b"kind": draft.rng.choice((b'"decision"', b'"expression"', b'"SMS"', b'""'))}))


def _empty(_: Draft) -> Made:
    return Made(b"", b"")


def _nonsense(_: Draft) -> Made:
    """As short as can be: a batch of few kilobytes holds as many as a batch may."""
    return Made(b"[", b"")


def _followed(draft: Draft) -> Made:
    return Made(_json(draft.fields) + draft.rng.choice((b"x", b"}", b"{}", b"\x00", b",")))


def _deep(depth: int) -> Callable[[Draft], Made]:
    def make(draft: Draft) -> Made:
        levels = depth // draft.rng.randint(1, 4)
        opened, closed = draft.rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
        return Made(_json(draft.fields | {b"x": opened * levels + b"1" + closed * levels}))

    return make


def _beyond(most: int, *, by: int) -> Callable[[random.Random], bytes]:
    """A text of `by` characters at most more than it may have."""

    def make(rng: random.Random) -> bytes:
        letter = rng.choice(("a", "例", "\\u4f8b", "𠮷", "\\ud83d\\ude00"))
        return b'"%b"' % (letter * rng.randint(most + 1, most + by)).encode()

    return make


@cache
def _same(byte: bytes, count: int) -> bytes:
    return byte * count


def _giant(draft: Draft) -> Made:
    """One letter or space, which compresses to nothing."""
    return Made(_same(draft.rng.choice((b"a", b" ", b"[")), draft.rng.choice((RECORD.most + 1, 2 << 20))))


def _of_two_mib(_: Draft) -> Made:
    return Made(_same(b"[", 2 << 20))


def _random_giant(draft: Draft) -> Made:
    return Made(draft.rng.randbytes(draft.rng.choice((1_000_000, RECORD.most + 1, 1_900_000))))


def _bomb(draft: Draft) -> Made:
    return Made(_same(b"\x00", BATCH.most + 1 if draft.rng.random() < 0.9 else 4 * BATCH.most))


def _under_a_giant_key(_: Draft) -> Made:
    return Made(b"[", _same(b"k", KEY_BYTES_MAX))


# What can be decided, however it looks.


def _half_surrogates(rng: random.Random) -> bytes:
    halves = "".join(rng.choice(("\\ud83d", "\\udc00", "\\uDBFF", "a")) for _ in range(rng.randint(1, 40)))
    return b'"\\ud800%b"' % halves.encode()


MARKS: Final = ("\u0301", "\u0316", "\u0345", "\u302a", "\U0001d165", "\uff9e", "\u0e33")


def _marks(count: int) -> Callable[[random.Random], bytes]:
    """Runs of marks of two classes, in the order that takes longest to mend (UAX #15)."""

    def make(rng: random.Random) -> bytes:
        one, other = rng.sample(MARKS, 2)
        half = rng.randint(count // 8, count // 2 - 1)
        return _text("a" + one * half + other * half)

    return make


LETTERS: Final = (
    "a",
    "例",
    "1",
    "ﷺ",
    "㍿",
    "\u200b",
    "\u202e",
    "٣",
    "１",
    "\u00ad",
    "İ",
    "ǰ",
    "\U000e0041",
    ".",
    "www.",
)


def _as_long_as_may_be(rng: random.Random) -> bytes:
    piece = "".join(rng.choices(LETTERS, k=rng.randint(1, 3)))
    return _text((piece * TEXT.most)[: TEXT.most])


def _odd_text(rng: random.Random) -> bytes:
    return _text("".join(rng.choices(LETTERS, k=rng.randint(1, 200))))


def _escaped(draft: Draft) -> Made:
    """Every letter of names and values as an escape."""

    def escaped(text: bytes) -> bytes:
        if not text.startswith(b'"'):
            return text
        return b'"' + b"".join(b"\\u%04x" % byte for byte in text.strip(b'"')) + b'"'

    named = ((escaped(b'"%b"' % name), escaped(value)) for name, value in draft.fields.items())
    return Made(b"{ \n" + b" ,\t".join(b"%b\r:%b" % one for one in named) + b"}  ")


def _unknown_fields(most: int) -> Callable[[Draft], Made]:
    def make(draft: Draft) -> Made:
        rng = draft.rng
        values = (b"9" * rng.randint(1, 4_000), b"1e308", b"[[[{}]]]", b"null", b'"' + b"\\n" * 50 + b'"')
        return Made(_json(draft.fields | {b"x%d" % n: rng.choice(values) for n in range(rng.randint(1, most))}))

    return make


def _repeated(draft: Draft) -> Made:
    """Each field twice: the last counts."""
    before = {name: b"7" if name == b"time" else b'"7"' for name in draft.fields if name != b"kind"}
    return Made(_json(before)[:-1] + b"," + _json(draft.fields)[1:])


NULLABLE: Final = (
    b"sender",
    b"purpose",
    b"category",
    b"text",
    b"campaign",
    b"region",
    b"network",
    b"origin",
    b"verstat",
)


def _nothings(draft: Draft) -> Made:
    return Made(_json(draft.fields | {name: draft.rng.choice((b"null", b'""')) for name in NULLABLE}))


def _unseen_sender(draft: Draft) -> Made:
    """Names that come once, as long as may be."""
    rng = draft.rng
    names = {name: _text(rng.choice("a例𠮷") * 200 + f"{rng.getrandbits(160):x}") for name in (b"sender", b"category")}
    return Made(_json(draft.fields | names | {b"purpose": b'"commercial"'}))


def _window_of_its_own(draft: Draft) -> Made:
    """A record's time is its producer's: any moment of fifty years."""
    moment = draft.rng.randrange(50 * YEAR_MS)
    return Made(_json(draft.fields | {b"time": b"%d" % draft.rng.choice((0, moment, TIME_MAX))}), timestamp=moment)


PIECES: Final = (
    *("+86", "00", "086", "+", "tel:", "sip:", "urn:service:", "１３８", "٣", "-", "(", " ", "\u200b", "a\u0301"),
    *("110", "1069", "13800138000", "#", ";phone-context=+86", "@", "@例.cn"),
)


def _number_forms(rng: random.Random) -> bytes:
    return _text("".join(rng.choices(PIECES, k=rng.randint(1, 60)))[: EVENT_FIELD.most] or "+")


def _odd_numbers(draft: Draft) -> Made:
    """Numbers that are none; a reply's author stays who it is."""
    names = (b"to",) if draft.of == "reply" else (b"from", b"presented", b"sender")
    return Made(_json(draft.fields | {name: _number_forms(draft.rng) for name in names}))


def _odd_key(draft: Draft) -> Made:
    rng = draft.rng
    return Made(_json(draft.fields), rng.choice((None, b"", b"\xff" * 300, b"0" * rng.randint(1, 5_000))))


def _giant_key(draft: Draft) -> Made:
    return Made(_json(draft.fields), _same(b"k", draft.rng.choice((300_000, KEY_BYTES_MAX - 1_000))))


def _long_id(draft: Draft) -> Made:
    """As long as an id may be, in letters that take several bytes, quotes and signs that turn the line round."""
    id_ = f"{draft.fields[b'id'][1:-1].decode()}-" + '例\\"\u202e𠮷' * EVENT_ID.most
    return Made(_json(draft.fields | {b"id": _text(id_[: EVENT_ID.most])}))


_TEXTED: Final[tuple[EventKind, ...]] = ("sms", "reply")
_SENT: Final[tuple[EventKind, ...]] = ("sms", "call")
UNREADABLE_BATCH: Final = "unreadable batch"
"""What the reason says of a batch that is too large to be read: it has one dead letter, at its last offset."""
_CROWD: Final = BATCH_RECORDS.most + 1
_TIGHT: Final[tuple[Codec, ...]] = ("gzip", "snappy", "lz4", "zstd")

KINDS: Final = (
    Kind("no value", lambda _: Made(None), "null value"),
    Kind("an empty value", lambda _: Made(b""), "truncated"),
    Kind("cut short", _cut_short, "truncated"),
    Kind("noise", _noise, ""),
    Kind("no object", lambda draft: Made(draft.rng.choice((b"[]", b"0", b'"x"', b"true", b"[[],[]]"))), "Expected"),
    Kind("more behind it", _followed, "trailing characters"),
    Kind("control characters", _with(text=_chosen(b'"a\nb"', b'"\x00"', b'"\x1f"')), "invalid character", of=_TEXTED),
    Kind("no UTF-8", _with(origin=_chosen(b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"')), "utf-8"),
    Kind("a field missing", _lacking, "missing required field"),
    Kind("wrong types", _one_with((b"id", b"to", b"from"), _chosen(b"1", b"[]", b"{}", b"true")), "Expected `str"),
    Kind("a time that is none", _with(time=_chosen(b'"1"', b"1.0", b"true", b"[]", b"-1")), "Expected `int`"),
    Kind("huge integers", _with(time=lambda rng: b"9" * rng.randint(17, 4_000)), "Expected `int`"),
    Kind("another kind", _of_another_kind, "kind"),
    Kind("no such purpose", _with(purpose=_chosen(b'"spam"', b'"Personal"')), "Invalid enum value", of=_SENT),
    Kind("an id beyond its limit", _with(id=_beyond(EVENT_ID.most, by=1_000)), f"length <= {EVENT_ID.most}"),
    Kind("a name beyond its limit", _one_with((b"to", b"from"), _beyond(EVENT_FIELD.most, by=1_000)), "length <= 256"),
    Kind("nested", _deep(6_000), "nested too deeply"),
    Kind("nested to 1 MiB", _deep(170_000), "nested too deeply", one_in=10_000),
    Kind("a text beyond its limit", _with(text=_beyond(TEXT.most, by=40_000)), "length", one_in=4_000, of=_TEXTED),
    Kind("1 to 2 MiB of one letter", _giant, "", one_in=10_000, codecs=_TIGHT),
    Kind("30 MiB in one batch", _of_two_mib, "2097152 bytes", one_in=200_000, codecs=_TIGHT, together=15),
    Kind("1 to 1.9 MB of noise", _random_giant, "", one_in=20_000, codecs=("none",)),
    Kind("a key of 2 MB and no event", _under_a_giant_key, "got `array`", one_in=20_000, codecs=("none", "lz4")),
    Kind("nonsense by the ten thousand", _nonsense, "got `array`", one_in=1_000_000, codecs=_TIGHT, together=50_000),
    Kind("a bomb", _bomb, UNREADABLE_BATCH, one_in=20_000, codecs=_TIGHT),
    Kind("a crowded batch", _empty, UNREADABLE_BATCH, one_in=100_000, codecs=("gzip", "zstd"), records=_CROWD),
    Kind("half surrogates", _with(text=_half_surrogates), of=_TEXTED),
    Kind("marks", _with(text=_marks(400)), of=_TEXTED),
    Kind("marks by the ten thousand", _with(text=_marks(TEXT.most)), one_in=4_000, of=_TEXTED),
    Kind("odd letters", _with(text=_odd_text), of=_TEXTED),
    Kind("a text of 40,000", _with(text=_as_long_as_may_be), one_in=4_000, of=_TEXTED),
    Kind("escapes", _escaped),
    Kind("unknown fields", _unknown_fields(20)),
    Kind("unknown fields by the hundred", _unknown_fields(400), one_in=4_000),
    Kind("each field twice", _repeated),
    Kind("nulls", _nothings, of=_SENT),
    Kind("an unseen sender", _unseen_sender, of=_SENT),
    Kind("a window of its own", _window_of_its_own),
    Kind("numbers that are none", _odd_numbers),
    Kind("an odd key", _odd_key),
    Kind("a key of 0.3 to 2 MB", _giant_key, one_in=20_000, codecs=("none", "zstd")),
    Kind("an id of 128", _long_id),
)
