"""The order index on disk: what it knows it knows again, whose it is, and who holds it."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from bloom.number import Msisdn
from bloom.wills import Scope
from stream.feed.order_index import IndexInUse, OrderIndex, OrderLock
from stream.model.registry import Expression
from stream.registry.order_rule import IndexedExpression, SubscriberChannel, digest_of

NUMBER = Msisdn(8613800138000)
WHO = SubscriberChannel(NUMBER, "sms")


def _refusal(time: int, **fields: str) -> Expression:
    return Expression("+8613800138000", "sms", "refuse", time, "platform", **fields)  # type: ignore[arg-type]


def test_it_knows_after_opening_again_what_it_knew(tmp_path: Path) -> None:
    path = tmp_path / "index"
    word = _refusal(7, sender="S", category="c")
    with OrderIndex(path) as index:
        index.take([word], {3: 42})
    with OrderIndex(path) as index:
        assert index.indexed([WHO.row]) == {WHO.row: [IndexedExpression(Scope("S", "c"), 7, digest_of(word))]}
        assert index.next_offsets == {3: 42}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_keeps_the_newest_time_whatever_the_order_of_receipt() -> None:
    with OrderIndex(None) as index:
        index.take([_refusal(9), _refusal(4)], {})
        ((indexed,),) = index.indexed([WHO.row]).values()
    assert (indexed.time, indexed.digest) == (9, digest_of(_refusal(4)))


def test_the_channels_of_a_subscriber_are_apart() -> None:
    with OrderIndex(None) as index:
        index.take([_refusal(1)], {})
        assert index.indexed([SubscriberChannel(NUMBER, "call").row]) == {}


def test_the_index_of_another_topic_is_emptied_and_says_so(tmp_path: Path) -> None:
    with OrderIndex(tmp_path / "index") as index:
        assert index.belong_to(cluster="C", topic="T1") is None
        index.take([_refusal(1)], {0: 1})
        assert index.belong_to(cluster="C", topic="T1") is None
        assert index.indexed([WHO.row])
        assert index.belong_to(cluster="C", topic="T2") == "topic T1 is now T2"
        assert index.indexed([WHO.row]) == {}
        assert index.next_offsets == {}
        index.take([_refusal(1, sender="S")], {0: 1})
        assert index.indexed([WHO.row])[WHO.row][0].scope == Scope("S", None)


def test_where_a_batch_fails_expressions_and_offsets_stay_of_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with OrderIndex(path) as index:
        index.take([_refusal(1)], {0: 1})
    with OrderIndex(path) as index:
        index.take([_refusal(2, sender="S")], {0: 2})
        with pytest.raises(sqlite3.Error):
            index.take([_refusal(3)], {0: None})  # type: ignore[dict-item]
        ((indexed,),) = index.indexed([WHO.row]).values()
        assert (indexed.time, index.next_offsets) == (1, {0: 1}), "what is forgotten is read from the topic again"
        index.take([_refusal(2, sender="S"), _refusal(3)], {0: 3})
    with OrderIndex(path) as index:
        times = {(one.scope.sender, one.time) for one in index.indexed([WHO.row])[WHO.row]}
        assert (times, index.next_offsets) == ({(None, 3), ("S", 2)}, {0: 3})


def test_it_lists_those_whose_last_word_about_everything_is_a_refusal_from_a_source() -> None:
    others = [
        Expression("+8613900139000", "sms", "refuse", 1, "reply"),
        Expression("+8613900139001", "call", "refuse", 1, "platform"),
        Expression("+8613900139002", "sms", "refuse", 1, "platform", "S"),
        Expression("+8613900139003", "sms", "refuse", 1, "platform"),
        Expression("+8613900139003", "sms", "lift", 2, "platform"),
    ]
    with OrderIndex(None) as index:
        assert index.refusing_everything("sms", "platform") == []
        index.take([_refusal(5), *others], {})
        assert index.refusing_everything("sms", "platform") == [(NUMBER, 5)]


def test_a_second_importer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "index"
    told = rf"held by process {os.getpid()} on .* wait for it"
    with OrderLock(path), pytest.raises(IndexInUse, match=told), OrderLock(path):
        pass
    with OrderLock(path):
        pass
