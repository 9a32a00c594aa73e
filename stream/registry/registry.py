"""The registry: all that the registry topics say, folded into what a decision asks.

Pure: records in, state out; no client, no loop, no clock. Wills are folded in bulk by `bloom`; everything else
is small and kept as the records themselves, with the ownership of numbers and the orders indexed.

`generation` counts the changes of everything but wills: what is compiled from a registry (routes, word lists)
holds for one generation, and wills, which change thousands of times a second, never end one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from bloom.bitmaps import Overlay, Wills
from bloom.number import parse
from bloom.partitioned import HeldPartitions
from bloom.wills import ExpressionColumns, ExpressionRow
from stream.model.codec import encode
from stream.model.fields import Channel
from stream.model.registry import (
    Campaign,
    Expression,
    FileRecord,
    Order,
    Record,
    Sender,
    Tombstone,
    Wordlist,
    key_of,
    scope_name,
)
from stream.model.topics import CAMPAIGNS, ORDERS, SENDERS, TOPIC_OF, WORDLISTS
from stream.registry.ownership import Ownership

Kept = TypeVar("Kept")


class Registry:
    """What every subscriber wants, who sends from which numbers, and which measures stand."""

    def __init__(self, wills: Wills | Overlay | None = None, *, held: HeldPartitions | None = None) -> None:
        """With `held`, the wills are those of the partitions that it holds, and no others."""
        self.held = held
        if wills is None:
            wills = Wills() if held is None else held.store
        self.wills: Wills | Overlay = wills
        self.senders: dict[str, Sender] = {}
        self.removed_senders: dict[str, Sender] = {}
        """Whose record a tombstone took, as it was, as far as the topic still had it: for whoever writes it again."""
        self.orders: dict[str, Order] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.wordlists: dict[str, Wordlist] = {}
        self.ownership: dict[Channel, Ownership] = {"sms": Ownership("sms"), "call": Ownership("call")}
        self.generation = 0
        self._came = 0
        self._orders_on_sender: dict[str, dict[str, Order]] = {}
        self._orders_on_number: dict[str, dict[str, Order]] = {}

    def apply(self, records: Iterable[FileRecord]) -> None:
        """Fold records in their order of receipt. Wills of one call are applied together, in bulk."""
        rows: list[ExpressionRow] = []
        for record in records:
            if type(record) is Expression:
                rows.append(expression_row_of(record))
            else:
                self._apply_other(record)
                self.generation += 1
        self.apply_columns(ExpressionColumns.of(rows))

    def apply_columns(self, columns: ExpressionColumns) -> None:
        """Fold expressions that were read into columns, in their order of receipt."""
        if len(columns):
            self.wills.apply_columns(columns)

    def orders_on_sender(self, sender: str) -> Collection[Order]:
        """Every order that names this sender, in force or not."""
        return self._orders_on_sender.get(sender, {}).values()

    def orders_on_number(self, number: str) -> Collection[Order]:
        """Every order that names this number, whole."""
        return self._orders_on_number.get(number, {}).values()

    def kept(self, topic: str, key: str) -> Record | None:
        """The record that stands under this key of any topic but that of expressions."""
        kept: dict[str, Mapping[str, Record]] = {
            SENDERS: self.senders, ORDERS: self.orders, CAMPAIGNS: self.campaigns, WORDLISTS: self.wordlists
        }  # fmt: skip
        return kept[topic].get(key)

    def records(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Every record but the wills as (topic, key, value), in the order of receipt: what a snapshot keeps."""
        for kept in (self.senders, self.orders, self.campaigns, self.wordlists):
            for record in kept.values():
                yield TOPIC_OF[type(record)], key_of(record).encode(), encode(record)

    def _apply_other(self, record: Record | Tombstone) -> None:
        match record:
            case Sender():
                self._came += 1
                self.removed_senders.pop(record.sender, None)
                _put_last(self.senders, record.sender, record)
                for ownership in self.ownership.values():
                    ownership.put(record, came=self._came)
            case Order():
                self._drop_order(record.order)
                self.orders[record.order] = record
                self._index(record)[record.order] = record
            case Campaign():
                _put_last(self.campaigns, record.campaign, record)
            case Wordlist():
                _put_last(self.wordlists, record.list, record)
            case Tombstone(topic=topic, key=key):
                self._remove(topic, key)
            case Expression():
                raise AssertionError("wills are applied in bulk")

    def _remove(self, topic: str, key: str) -> None:
        if topic == SENDERS:
            removed = self.senders.pop(key, None)
            if removed is not None:
                self.removed_senders[key] = removed
            for ownership in self.ownership.values():
                ownership.drop(key)
        elif topic == ORDERS:
            self._drop_order(key)
        elif topic == CAMPAIGNS:
            self.campaigns.pop(key, None)
        elif topic == WORDLISTS:
            self.wordlists.pop(key, None)

    def _drop_order(self, key: str) -> None:
        earlier = self.orders.pop(key, None)
        if earlier is not None:
            del self._index(earlier)[key]

    def _index(self, order: Order) -> dict[str, Order]:
        if order.sender:
            return self._orders_on_sender.setdefault(order.sender, {})
        return self._orders_on_number.setdefault(order.number or "", {})


def expression_row_of(record: Expression) -> ExpressionRow:
    """The part of an expression that the fold needs."""
    number = parse(record.subscriber)
    assert number is not None, "the struct admits subscriber numbers only"
    return ExpressionRow(number, record.channel, record.will, scope_name(record.sender), scope_name(record.category))


def registry_of(records: Sequence[FileRecord]) -> Registry:
    """A registry folded from these records alone."""
    registry = Registry()
    registry.apply(records)
    return registry


def _put_last(kept: dict[str, Kept], key: str, record: Kept) -> None:
    """Replace and move to the end, as compaction keeps a key's last record at its last place."""
    kept.pop(key, None)
    kept[key] = record
