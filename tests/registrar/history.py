"""A checker over histories: whether answers, topic and store agree, whatever was killed while they were made.

Every record that the tests ask for bears, as evidence, its request's id and its place in it.
"""

import asyncio
from collections import Counter, defaultdict
from pathlib import Path

import rocksdict

from bloom.wills import Scope
from stream.kafka.clients import ConsumerRecord
from stream.kafka.describe import describe_topics
from stream.kafka.identity import mark
from stream.model.codec import decode_record
from stream.model.registry import Expression
from stream.model.requests import RegistryAnswer, decode_answer
from stream.model.times import counts_from
from stream.model.topics import ANSWERS, EXPRESSIONS
from stream.registrar.store import PartitionStore
from stream.registry.order_rule import NOW_WITHIN_MS, overlap, scope_of
from tests.filter.harness import Broker
from tests.registry.in_memory import InMemory


class Log:
    """`registry.expressions` as committed, by partition, with everybody's records in their order."""

    def __init__(self, broker: Broker) -> None:
        self.partitions: dict[int, list[tuple[ConsumerRecord, Expression]]] = defaultdict(list)
        """those that are none of the eraser's null values"""
        self.raw: dict[int, list[tuple[ConsumerRecord, Expression | None]]] = defaultdict(list)
        for raw in sorted(broker.read(EXPRESSIONS), key=lambda one: (one.partition, one.offset)):
            if raw.value is None:
                self.raw[raw.partition].append((raw, None))
                continue
            record = decode_record(raw.topic, raw.key, raw.value)
            assert isinstance(record, Expression)
            self.partitions[raw.partition].append((raw, record))
            self.raw[raw.partition].append((raw, record))

    def of_request(self, name: str) -> list[tuple[ConsumerRecord, Expression]]:
        """The records that a request wrote."""
        every = (one for records in self.partitions.values() for one in records)
        return [(raw, record) for raw, record in every if (record.evidence or "").startswith(f"{name}/")]


def answers_of(broker: Broker) -> dict[str, list[RegistryAnswer]]:
    """Every answer by its request, but to those that only ask and those under an id that is another's."""
    found: dict[str, list[RegistryAnswer]] = defaultdict(list)
    for raw in broker.read(ANSWERS):
        answer = decode_answer(raw.value)
        assert raw.key == answer.request.encode()
        if answer.result is None and not any(one.code == "id-taken" for one in answer.refusals):
            found[answer.request].append(answer)
    return found


def check_answers(log: Log, answers: dict[str, list[RegistryAnswer]]) -> None:
    """Each request has one answer, if several times; what it says was written was written, once, and nothing else."""
    assert [name for name, given in answers.items() if any(one != given[0] for one in given)] == []
    wrote = Counter[str]()
    last: dict[str, int] = {}
    once = Counter[str]()
    for records in log.partitions.values():
        for raw, record in records:
            if record.source == "test":
                name = (record.evidence or "").partition("/")[0]
                wrote[name] += 1
                last[name] = raw.offset
                once[record.evidence or ""] += 1
    assert [evidence for evidence, count in once.items() if count > 1] == [], "written twice"
    assert wrote.keys() - answers.keys() == set(), "written and not answered"
    for name, (given, *_) in answers.items():
        if name.startswith("sender"):
            continue  # its records stand in another topic
        assert given.admitted - given.already == wrote[name], name
        if wrote[name]:
            assert given.version == last[name], name


def check_order(log: Log) -> int:
    """No record that the registrar wrote stands behind a newer one about an overlapping scope, but refusals given now.

    Of each scope the last record counts, as compaction leaves it: a refusal that is given now, with a time of some
    seconds ago, replaces a newer one, and what was said between the two is late no more (`order_rule`).
    Returns how many pairs there were whose order could have been wrong.
    """
    pairs = 0
    for records in log.partitions.values():
        before: dict[tuple[str, str], dict[Scope, int]] = defaultdict(dict)
        for raw, record in records:
            counts = counts_from(record.time, raw.timestamp)
            given_now = record.will == "refuse" and record.time >= raw.timestamp - NOW_WITHIN_MS
            given_now = given_now and record.source != "file"
            of = before[record.subscriber, record.channel]
            if record.source in ("test", "file") and not given_now:
                overlapping = [then for scope, then in of.items() if overlap(scope, scope_of(record))]
                assert all(then <= counts for then in overlapping), f"offset {raw.offset}: {record} is late"
                pairs += len(overlapping)
            of[scope_of(record)] = counts
    return pairs


def check_stores(log: Log, broker: Broker, directory: Path) -> None:
    """What stands in a registrar's stores is the fold of the log."""
    cluster = asyncio.run(describe_topics(broker.config, (EXPRESSIONS, ANSWERS)))
    topics = " ".join(mark(cluster.id, cluster.topics[topic].id) for topic in (EXPRESSIONS, ANSWERS))
    for partition in range(broker.partitions):
        store = PartitionStore(directory / f"partition-{partition}", topics=topics, cache=rocksdict.Cache(1 << 20))
        assert store.emptied is None
        model = InMemory(categories=())
        for raw, record in log.raw[partition]:
            model.take(EXPRESSIONS, raw.key.decode(), record, written=raw.timestamp, offset=raw.offset)
        subscribers = {record.subscriber for _, record in log.partitions[partition]}
        for subscriber in subscribers:
            assert store.standing(subscriber) == list(model.standing(subscriber))
        assert len(list(store.all_rows())) == sum(len(model.standing(one)) for one in subscribers)
        store.close()
