"""The store of one partition: what stands of every subscriber, on disk, as `registry.expressions` has it.

Of each key it has the last record with its offset and its timestamp, as compaction keeps it, so that a store that was
built from a compacted topic gives the same answers. Beside these it keeps the answers of the last eight days, by which
a repeated request is known, and which consents expire when. It is a RocksDB (docs/decisions/0021 has the figures).

Promises that what was taken is there after SIGKILL, and that records and the offset behind them are of one moment: a
write is atomic, and after a crash of the machine a store of an earlier moment is left, which knows its offsets. So it
may lag its topics and is never ahead of them. Must never be asked by two processes: RocksDB locks its directory.
"""

import hashlib
import shutil
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import rocksdict
from rocksdict import Rdict, WriteBatch

from bloom.number import parse
from bloom.wills import Scope
from stream.model.codec import encode
from stream.model.fields import EVERYTHING, Channel, Verb
from stream.model.registry import KEY_BAR, Expression, scope_name
from stream.model.requests import RegistryAnswer, decode_answer, takes_its_id
from stream.model.times import AHEAD_MAX_MS, counts_from
from stream.registry.door import REQUEST_AGE_MAX_MS
from stream.registry.erasure import EVIDENCE_KEPT_MS, is_erasing
from stream.registry.known import StandingRecord
from stream.registry.order_rule import IndexedExpression, SubscriberChannel, digest_of_encoded

FORMAT: Final = "1"

WRITE_BUFFER_BYTES: Final = 16 << 20
"""What is taken before it is sorted into a file; two of them at most, once there was so much."""

BLOOM_BITS: Final = 10
"""A key: one of a hundred subscribers of whom nothing stands costs a look at the disk."""

ANSWERS_KEPT_MS: Final = REQUEST_AGE_MAX_MS + AHEAD_MAX_MS
"""Eight days: a request's `time` may lie a day ahead of its answer, and its repeat is taken as long as that is no older
than a request may be.
"""

_META: Final = b"m"
_ROW: Final = b"r"
_ANSWER: Final = b"a"
_ANSWERED: Final = b"t"
_EXPIRY: Final = b"x"
"""How keys begin: of what the store stands for, of a subscriber's channel, of an answer, of the moment of an answer, of
that of an expiry."""

_UINT64: Final = struct.Struct(">Q")
_UINT64_PAIR: Final = struct.Struct(">QQ")

T = TypeVar("T")


class StoreError(Exception):
    """The store cannot be read or written: what RocksDB says, where, and the mend."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(f"{path}: {error}; see that the disk has room and that no other process uses the directory")
        self.is_corrupt = "Corruption" in str(error)
        """whether what is on disk is of no use"""


class LoggedExpression(NamedTuple):
    """A record of `registry.expressions` where it stands. Without an expression: the null value under its key."""

    offset: int
    written: int
    """milliseconds since the epoch: the record's timestamp"""
    key: str
    expression: Expression | None
    encoded: bytes | None = None
    """as `encode` gives it, where that is known"""


class Progress(NamedTuple):
    """The next offsets: up to these (exclusive) the store knows its topics."""

    expressions: int = 0
    answers: int = 0


class _Meta(msgspec.Struct, array_like=True, frozen=True):
    format: str
    topics: str
    """the topics that it stands for, by their ids"""
    progress: Progress
    erased_any: bool = False
    """whether it took a null value: what the topic has may then stand nowhere"""


class _Kept(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """The last record of one scope."""

    offset: int
    written: int
    digest: int
    will: Verb
    time: int
    source: str
    sender: str | None
    category: str | None
    evidence: str | None
    actor: str | None
    expires: int | None

    @property
    def about(self) -> str:
        """What stands behind subscriber and channel in its key."""
        return _about(self.sender, self.category)


_rows: Final = msgspec.msgpack.Decoder(list[_Kept])
_metas: Final = msgspec.msgpack.Decoder(_Meta)
_packed: Final = msgspec.msgpack.Encoder().encode


class PartitionStore:
    """An open store. `close` it."""

    def __init__(self, path: Path, *, topics: str, cache: rocksdict.Cache) -> None:
        """`topics` names what it stands for, by ids; one of other topics is emptied, as is one that is of no use.

        Raises `StoreError`.
        """
        self.path = path
        self.emptied: str | None = None
        """why it had to be emptied when it was opened, or None"""
        self._topics = topics
        self._cache = cache
        self._looked_up: dict[int, list[_Kept]] = {}
        """what was looked up since the last `take`, which needs it again"""
        self._stale: set[bytes] = set()
        """expiries of what does not stand any more"""
        try:
            self._open()
        except StoreError as error:
            if not error.is_corrupt:
                raise
            self.empty(str(error))
        if self._meta.topics != topics or self._meta.format != FORMAT:
            self.empty(f"{path} was of other topics or of another format")

    def _open(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds subscribers' numbers
        self._database = self._do(lambda: Rdict(str(self.path), _options(self._cache)))
        try:
            self._identity = (self.path / "IDENTITY").stat().st_ino
            found = self._do(lambda: self._database.get(_META))
            if found is None:
                self._meta = _Meta(FORMAT, self._topics, Progress())
                self._do(lambda: self._database.put(_META, _packed(self._meta)))
            else:
                self._meta = _metas.decode(found)
        except BaseException:
            self._database.close()
            raise

    def empty(self, why: str) -> None:
        """Forget everything, for this reason. Raises `StoreError`."""
        self.emptied = why
        self._looked_up, self._stale = {}, set()
        if hasattr(self, "_database"):
            self._database.close()
        shutil.rmtree(self.path)
        self._open()

    def close(self) -> None:
        """Let go of the directory. Raises nothing: what was taken is there."""
        with suppress(Exception):  # a disk that fails has been told of already
            self._database.close()

    def see_there(self) -> None:
        """Raise `StoreError` where its files are gone, or others."""
        try:
            there = (self.path / "IDENTITY").stat().st_ino == self._identity
        except OSError:
            there = False
        if not there:
            raise StoreError(self.path, FileNotFoundError("its files are gone"))

    @property
    def progress(self) -> Progress:
        """How far it knows its topics."""
        return self._meta.progress

    @property
    def erased_any(self) -> bool:
        """Whether it took a null value: not all that the topic has need stand then."""
        return self._meta.erased_any

    # ---- what is asked

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        """See `stream.registry.known.Known`. Some 5 µs a row."""
        known = self._look_up(rows)
        return {
            row: [
                IndexedExpression(_scope(one.sender, one.category), counts_from(one.time, one.written), one.digest)
                for one in known[row]
            ]
            for row in rows
            if known[row]
        }

    def standing(self, subscriber: str) -> list[StandingRecord]:
        """All that stands of one subscriber, in order of receipt."""
        number = parse(subscriber)
        if number is None:
            return []
        channels: tuple[Channel, ...] = ("sms", "call")
        rows = {SubscriberChannel(number, channel).row: channel for channel in channels}
        known = self._look_up(rows.keys())
        found = [
            StandingRecord(_expression(one, subscriber, rows[row]), one.written, one.offset)
            for row in rows
            for one in known[row]
        ]
        return sorted(found, key=lambda one: one.offset)

    def answered(self, requests: Collection[str]) -> dict[str, RegistryAnswer]:
        """The answers to those of these requests that were answered within the last eight days."""
        found = self._get([_ANSWER + _hash(request) for request in requests])
        return {
            request: decode_answer(answer)
            for request, answer in zip(requests, found, strict=True)
            if answer is not None
        }

    def expiring(self, until: int) -> Iterator[StandingRecord]:
        """Consents that are the last of their key and expire at `until` (milliseconds) at the latest; and lifts of
        erasures behind which nothing is kept as evidence from then on.
        """
        for key, row in list(self._between(_EXPIRY, _EXPIRY + _UINT64.pack(until + 1))):
            _, offset = _UINT64_PAIR.unpack(key[1:])
            (place,) = _UINT64.unpack(row)
            kept = next((one for one in self._look_up([place])[place] if one.offset == offset), None)
            if kept is None:
                self._stale.add(key)
            else:
                expression = _expression(kept, f"+{place // 2}", "call" if place % 2 else "sms")
                yield StandingRecord(expression, kept.written, kept.offset)

    def all_rows(self) -> Iterator[tuple[int, int, int]]:
        """Of every record that stands the subscriber and channel (`SubscriberChannel.row`), offset and digest."""
        for key, value in self._between(_ROW, _ROW + b"\xff"):
            (row,) = _UINT64.unpack(key[1:])
            for one in _rows.decode(value):
                yield row, one.offset, one.digest

    def standing_at(self, logged: Sequence[LoggedExpression]) -> list[tuple[int, int] | None]:
        """Of the keys of these records, offset and digest of what stands there, or None."""
        places = [_place_of(one.key) for one in logged]
        known = self._look_up({row for row, _ in places})
        self._looked_up = {}
        return [
            next(((one.offset, one.digest) for one in known[row] if one.about == about), None) for row, about in places
        ]

    # ---- what it takes

    def take(
        self,
        logged: Sequence[LoggedExpression],
        *,
        expressions: int | None = None,
        answers: Sequence[RegistryAnswer] = (),
        next_answer: int | None = None,
    ) -> None:
        """Take what stands in the topics, in its order, and the next offsets: all of it or nothing. Some 5 µs a record.

        Raises `StoreError`; nothing is taken then, and nothing more can be until it was opened again.
        """
        batch = WriteBatch(raw_mode=True)
        self._write_rows(batch, logged)
        for answer in answers:
            self._write_answer(batch, answer)
        for key in self._stale:
            batch.delete(key)
        before = self._meta.progress
        progress = Progress(
            before.expressions if expressions is None else expressions,
            before.answers if next_answer is None else next_answer,
        )
        erased_any = self._meta.erased_any or any(one.expression is None for one in logged)
        meta = _Meta(self._meta.format, self._meta.topics, progress, erased_any)
        batch.put(_META, _packed(meta))
        self._looked_up = {}
        self._do(lambda: self._database.write(batch))
        self._meta, self._stale = meta, set()

    def forget_answers(self, before: int, *, most: int) -> int:
        """Forget answers that were decided before this moment; returns how many, `most` of them at the most."""
        batch = WriteBatch(raw_mode=True)
        count = 0
        for key, hashed in self._between(_ANSWERED, _ANSWERED + _UINT64.pack(before)):
            batch.delete(key)
            batch.delete(_ANSWER + hashed)
            count += 1
            if count == most:
                break
        if count:
            self._do(lambda: self._database.write(batch))
        return count

    def _write_rows(self, batch: WriteBatch, logged: Sequence[LoggedExpression]) -> None:
        places = [_place_of(one.key) for one in logged]
        known = self._look_up({row for row, _ in places})
        for one, (row, about) in zip(logged, places, strict=True):
            kept = known[row]
            if kept:
                known[row] = kept = [other for other in kept if other.about != about]
            if one.expression is not None:
                made = _kept(one, one.expression)
                kept.append(made)
                due = one.written + EVIDENCE_KEPT_MS if is_erasing(one.expression) else made.expires
                if due is not None:
                    batch.put(_EXPIRY + _UINT64_PAIR.pack(due, made.offset), _UINT64.pack(row))
        for row in {row for row, _ in places}:
            key = _ROW + _UINT64.pack(row)
            if known[row]:
                batch.put(key, _packed(known[row]))
            else:
                batch.delete(key)

    def _write_answer(self, batch: WriteBatch, answer: RegistryAnswer) -> None:
        """What a request was answered. Reads are answered anew, and an id that is taken stays the first one's; what
        could not be read takes none, or half a copy of a request would take the place of its answer.
        """
        if answer.result is not None or not takes_its_id(answer):
            return
        hashed = _hash(answer.request)
        batch.put(_ANSWER + hashed, encode(answer))
        batch.put(_ANSWERED + _UINT64.pack(answer.decided) + hashed, hashed)

    def _look_up(self, rows: Collection[int]) -> dict[int, list[_Kept]]:
        missing = [row for row in rows if row not in self._looked_up]
        if missing:
            missing.sort()  # neighbours in the files are read together
            found = self._get([_ROW + _UINT64.pack(row) for row in missing])
            for row, value in zip(missing, found, strict=True):
                self._looked_up[row] = [] if value is None else _rows.decode(value)
        return self._looked_up

    def _get(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """What stands under each of these keys."""
        found: Sequence[bytes | None] | None = self._do(lambda: self._database.get([*keys]))
        return found or ()

    def _between(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = self._do(lambda: self._database.items(from_key=first))
        for key, value in found:
            assert isinstance(key, bytes), "raw keys"
            if key >= end:
                return
            yield key, value

    def _do(self, work: Callable[[], T]) -> T:
        """Do this with RocksDB, whose errors are plain `Exception`s."""
        try:
            return work()
        except Exception as error:
            if type(error) is Exception or isinstance(error, rocksdict.DbClosedError):
                raise StoreError(self.path, error) from error
            raise


def _options(cache: rocksdict.Cache) -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_background_jobs(2)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_bottommost_compression_type(rocksdict.DBCompressionType.zstd())  # nine tenths of all lie there
    options.set_keep_log_file_num(2)
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(BLOOM_BITS, False)
    table.set_block_cache(cache)
    # So that the cache bounds indexes and filters as well. In partitions: one filter of a whole file is larger than a
    # part of a small cache, and would be read anew for each look-up.
    table.set_cache_index_and_filter_blocks(True)
    table.set_index_type(rocksdict.BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options.set_block_based_table_factory(table)
    return options


def _place_of(key: str) -> tuple[int, str]:
    """Subscriber and channel (`SubscriberChannel.row`), and what stands behind them, of a record's key."""
    subscriber, channel, about = key.split(KEY_BAR, 2)
    return int(subscriber) * 2 + (channel == "call"), about


@lru_cache(maxsize=10_000)  # some 10 MiB, were all names as long as they may be
def _about(sender: str | None, category: str | None) -> str:
    return KEY_BAR.join((scope_name(sender) or EVERYTHING, scope_name(category) or EVERYTHING))


@lru_cache(maxsize=10_000)  # some 10 MiB, were all names as long as they may be
def _scope(sender: str | None, category: str | None) -> Scope:
    return Scope(scope_name(sender), scope_name(category))


def _kept(one: LoggedExpression, expression: Expression) -> _Kept:
    expires = expression.expires
    return _Kept(
        one.offset,
        one.written,
        digest_of_encoded(one.encoded or encode(expression)),
        expression.will,
        expression.time,
        expression.source,
        expression.sender,
        expression.category,
        expression.evidence,
        expression.actor,
        None if expires is msgspec.UNSET else expires,
    )


def _expression(kept: _Kept, subscriber: str, channel: Channel) -> Expression:
    return Expression(
        subscriber=subscriber,
        channel=channel,
        will=kept.will,
        time=kept.time,
        source=kept.source,
        sender=kept.sender,
        category=kept.category,
        evidence=kept.evidence,
        actor=kept.actor,
        expires=msgspec.UNSET if kept.expires is None else kept.expires,
    )


def _hash(request: str) -> bytes:
    return hashlib.sha256(request.encode()).digest()[:16]
