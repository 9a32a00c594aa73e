"""What the audit finds of one decision, and the histories that it finds it by: as pure as the decision itself."""

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.bitmaps import Wills
from bloom.wills import ExpressionRow
from stream.audit.histories import Histories
from stream.audit.history import SINGLE, STATES_MAX, ExpressionHistory, Propagation, RegistryHistory
from stream.audit.verification import DecisionVerifier
from stream.model.codec import decode_event, decode_file_record, encode
from stream.model.decision import Decision, Epoch
from stream.model.events import Event, Sms
from stream.model.fields import Verb
from stream.model.registry import Expression, FileRecord, Order, Sender, Tombstone, key_of
from stream.model.topics import EXPRESSIONS, ORDERS, SENDERS
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.registry.registry import Registry, expression_row_of, registry_of
from tests.filter import cases
from tests.policy import strategies

POLICY = load()
NUMBERS = ("+8613800138000", "+8613900139000")
T = 1_795_500_000_000
BIG = 1_000


class AuditedSample:
    """An audit's histories of the sample registry in one partition, its expressions all written at T − 10 s."""

    def __init__(self, topics: dict[str, str] | None = None) -> None:
        self.histories = Histories(1, topics=topics)
        self.histories.begin(exact_since_ms=T - 3_600_000, horizon_ms=0)
        self.wills = self.histories.wills
        self.standing = self.histories.standing
        self.said = 0
        for place, record in enumerate(cases.registry()):
            if isinstance(record, Expression):
                self.say(record, T - 10_000)
            else:
                self.standing.take(_topic_of(record), place, T - 10_000, record)
        self.judge = DecisionVerifier(POLICY, self.histories)

    def say(self, record: Expression, timestamp: int) -> None:
        self.wills.take(0, self.said, timestamp, record)
        self.said += 1

    def epoch(self, said: int | None = None) -> Epoch:
        offsets = {
            EXPRESSIONS: (self.said if said is None else said,),
            **dict.fromkeys(("registry.orders", "registry.campaigns", "registry.wordlists", SENDERS), (BIG,)),
        }
        return Epoch("run-1", T, POLICY.version, POLICY.digest, False, 0, "cluster", offsets)


def _topic_of(record: object) -> str:
    return f"registry.{type(record).__name__.lower()}s"


def _sms(to: str = cases.WILLING) -> Event:
    return Sms(
        id="e",
        time=T,
        to=to,
        from_=cases.PORT,
        sender="ORG-BANK",
        purpose="commercial",
        category="finance",
        text=cases.GOOD_TEXT,
    )


def _decided(event: Event) -> Decision:
    return decide(event, World(POLICY, registry_of(cases.registry())), T, epoch="run-1")


def _allow(decision: Decision, **more: object) -> Decision:
    allowed: Decision = msgspec.structs.replace(
        decision, verdict="allow", reason="consented", code=msgspec.UNSET, appeal=msgspec.UNSET, **more
    )
    return allowed


def _refusal() -> Expression:
    return Expression(subscriber=cases.WILLING, channel="sms", will="refuse", time=T, source="test")


def test_every_answer_of_the_table_agrees_with_itself() -> None:
    sample = AuditedSample()
    for one in cases.EVENTS:
        event = decode_event(msgspec.json.encode(one))
        found = sample.judge.verify(_decided(event), event, sample.epoch())
        assert (found.outcome, found.violation) == ("agrees", False), (one, found)


def test_an_allow_for_someone_who_refused_or_never_agreed_is_a_violation_whatever_it_calls_itself() -> None:
    sample = AuditedSample()
    for to in (cases.REFUSING, cases.SILENT):
        event = _sms(to)
        for reason in ("consented", "service", "personal", "emergency"):
            forged = msgspec.structs.replace(_allow(_decided(event)), reason=reason)
            found = sample.judge.verify(forged, event, sample.epoch())
            assert (found.outcome, found.violation) == ("differs", True)
    assert not sample.judge.verify(_decided(_sms(cases.REFUSING)), _sms(cases.REFUSING), sample.epoch()).violation


def test_a_refusal_that_the_epoch_does_not_include_counts_when_it_had_stood_for_a_second() -> None:
    for stood_ms, violation in ((0, False), (999, False), (1_000, True), (60_000, True)):
        sample = AuditedSample()
        decision = _decided(_sms())
        before = sample.epoch()
        sample.say(_refusal(), T - stood_ms)
        found = sample.judge.verify(decision, _sms(), before)
        assert (found.outcome, found.violation) == ("agrees", violation), stood_ms
        found = sample.judge.verify(decision, _sms(), sample.epoch())
        assert (found.outcome, found.violation) == ("differs", True), "the epoch includes it, so it had been seen"


def test_what_cannot_be_had_any_more_is_unknown_and_says_why() -> None:
    sample = AuditedSample()
    event, decision = _sms(), _decided(_sms())
    assert sample.judge.verify(decision, None, sample.epoch()).outcome == "unknown"
    old = msgspec.structs.replace(decision, decided=T - 3_600_001)
    assert "uncompacted" in sample.judge.verify(old, event, sample.epoch()).why
    long_ago = msgspec.structs.replace(_allow(_decided(_sms(cases.REFUSING))), decided=T - 3_600_001)
    assert not sample.judge.verify(long_ago, _sms(cases.REFUSING), sample.epoch()).violation, "nobody can tell any more"
    other = msgspec.structs.replace(sample.epoch(), policy="cn-2021.1", policy_hash="other")
    assert "not known here, cn-2021.1" in sample.judge.verify(decision, event, other).why
    behind = sample.epoch(said=1)
    sample.wills.settle(T)
    assert "older than what is kept" in sample.judge.verify(decision, event, behind).why


def test_offsets_of_a_topic_that_was_made_anew_say_nothing_of_the_one_that_is_there() -> None:
    sample = AuditedSample({SENDERS: "this"})
    of_this, of_before, of_none = (
        msgspec.structs.replace(sample.epoch(said=BIG), topics=topics)
        for topics in ({SENDERS: "this"}, {SENDERS: "before"}, {})
    )
    decision = _decided(_sms())
    sample.say(_refusal(), T + 3_000)
    assert sample.judge.verify(decision, _sms(), of_this).violation, "it says that it includes the refusal"
    assert sample.judge.verify(decision, _sms(), of_none).violation, "an epoch of before this was told"
    found = sample.judge.verify(decision, _sms(), of_before)
    assert (found.outcome, found.violation) == ("unknown", False)
    assert "recreated" in found.why


def test_a_decision_without_an_epoch_or_of_another_policy_can_still_be_a_violation() -> None:
    sample = AuditedSample()
    event = _sms(cases.REFUSING)
    forged = _allow(_decided(event))
    other = msgspec.structs.replace(sample.epoch(), policy_hash="other")
    for epoch in (None, other):
        found = sample.judge.verify(forged, event, epoch)
        assert (found.outcome, found.violation) == ("unknown", True)
    consent = Expression(
        subscriber=cases.SILENT,
        channel="sms",
        will="consent",
        time=T,
        source="test",
        sender="ORG-BANK",
        category="finance",
    )
    sample.say(consent, T - 500)
    to_silent = _allow(_decided(_sms(cases.SILENT)))
    assert not sample.judge.verify(to_silent, _sms(cases.SILENT), None).violation, "it may have seen the consent"
    sample.say(_refusal(), T - 500)
    assert not sample.judge.verify(_allow(_decided(_sms())), _sms(), None).violation, "it may have looked before that"


def test_a_decision_without_an_epoch_is_no_violation_of_topics_that_may_have_been_recreated_since() -> None:
    sample = AuditedSample({SENDERS: "this"})
    event = _sms(cases.SILENT)
    allowed = _allow(_decided(event))
    assert not sample.judge.verify(allowed, event, None).violation, "nothing says that these topics were there then"
    of_before = msgspec.structs.replace(sample.epoch(), topics={SENDERS: "before"})
    sample.histories.take_epoch(0, encode(of_before))
    assert not sample.judge.verify(allowed, event, None).violation
    later, since = (msgspec.structs.replace(sample.epoch(), time=T + ms, topics={SENDERS: "this"}) for ms in (1, 0))
    sample.histories.take_epoch(1, encode(later))
    assert not sample.judge.verify(allowed, event, None).violation
    sample.histories.take_epoch(2, encode(since))
    assert sample.judge.verify(allowed, event, None).violation


def test_an_epoch_of_topics_that_are_gone_measures_no_refusal_of_those_that_are_there() -> None:
    sample = AuditedSample({SENDERS: "this"})
    refusal = _refusal()
    sample.histories.take_registry(EXPRESSIONS, 0, 0, T, key=key_of(refusal).encode(), value=encode(refusal))
    for topic, measured in (("before", []), ("this", [5])):
        for number, to in enumerate((0, 1)):
            epoch = msgspec.structs.replace(
                sample.epoch(said=to), epoch=f"{topic}-{number}", time=T + 5, topics={SENDERS: topic}
            )
            sample.histories.take_epoch(number + 10 * (topic == "this"), encode(epoch))
        sample.histories.measure()
        assert sample.histories.take_in_force_ms() == measured


def test_while_one_policy_follows_another_decisions_of_both_are_judged_each_by_its_own() -> None:
    sample = AuditedSample()
    other = load("opt-out")
    sample.judge.adopt(other)
    event = _sms(cases.SILENT)
    blocked = _decided(event)
    allowed = decide(event, World(other, registry_of(cases.registry())), T, epoch="run-1")
    assert (blocked.verdict, allowed.reason) == ("block", "default_allow")
    by_other = msgspec.structs.replace(sample.epoch(), policy=other.version, policy_hash=other.digest)
    assert sample.judge.verify(blocked, event, sample.epoch()).outcome == "agrees"
    found = sample.judge.verify(allowed, event, by_other)
    assert (found.outcome, found.violation) == ("agrees", False)
    assert sample.judge.verify(allowed, event, sample.epoch()).violation


WILLS = st.lists(
    st.tuples(
        st.sampled_from(NUMBERS),
        st.sampled_from(("refuse", "lift", "consent")),
        st.sampled_from((None, "A", "B")),
        st.sampled_from((None, "x")),
    ),
    max_size=25,
)


def _expression(number: str, will: Verb, sender: str | None, category: str | None) -> Expression:
    if will == "consent":
        sender, category = sender or "A", category or "x"
    return Expression(subscriber=number, channel="sms", will=will, time=1, source="t", sender=sender, category=category)


@given(said=WILLS, settled=st.integers(0, 25), bound=st.integers(0, 25), until=st.integers(0, 25))
def test_wills_as_of_any_offsets_are_the_fold_of_just_what_they_include(
    said: list[tuple[str, Verb, str | None, str | None]], settled: int, bound: int, until: int
) -> None:
    records = [_expression(*one) for one in said]
    history = ExpressionHistory(1)
    for offset, record in enumerate(records):
        history.take(0, offset, offset, record)
    history.settle(settled)
    base = min(settled, len(records))
    for number in NUMBERS:
        row = ExpressionRow(
            expression_row_of(_expression(number, "lift", None, None)).number, "sms", "lift", None, None
        )
        for offsets, included in (((bound,), max(bound, until + 1)), (None, until + 1)):
            got = history.as_of(row.number, offsets, until_ms=until)
            if included < base:
                assert got is None, "the base is later than what is asked about"
                continue
            assert got is not None
            model = Wills()
            model.apply([expression_row_of(record) for record in records[:included]])
            assert got.expressions_of("sms", row.number) == model.expressions_of("sms", row.number)


def _sender(name: str, contact: str = "95588") -> Sender:
    return Sender(sender=name, name=name, contact=contact, status="active", numbers=())


def test_senders_as_of_any_offsets_are_those_that_stood_there_then_also_after_the_past_is_forgotten() -> None:
    history = RegistryHistory()
    records: tuple[FileRecord, ...] = (
        _sender("A"),
        _sender("B"),
        _sender("A", "95599"),
        Tombstone(topic=SENDERS, key="B"),
        _sender("C"),
    )
    for offset, record in enumerate(records):
        history.take(SENDERS, offset, offset, record)

    def names(bound: int) -> dict[str, str] | None:
        empty = {f"registry.{topic}": (0,) for topic in ("orders", "campaigns", "wordlists")}
        state = history.as_of({SENDERS: (bound,), **empty})
        return None if state is None else {sender.sender: sender.contact for sender in state.senders.values()}

    expected = [{}, {"A": "95588"}, {"B": "95588", "A": "95588"}, {"B": "95588", "A": "95599"}, {"A": "95599"}]
    assert [names(bound) for bound in range(5)] == expected
    history.settle(3)
    assert names(2) is None
    assert names(3) == expected[3]
    assert names(4) == expected[4]
    assert names(5) == {"A": "95599", "C": "95588"}
    assert names(BIG) == {"A": "95599", "C": "95588"}
    history.take(SENDERS, 5, 5, _sender("D"))
    assert names(BIG) == {"A": "95599", "C": "95588", "D": "95588"}, "what came after the question counts the next time"
    now = history.at(BIG)
    assert now is not None
    assert set(now.senders) == {"A", "C", "D"}


STANDING = st.one_of(
    strategies.sender, strategies.order, strategies.campaign, strategies.wordlist, strategies.tombstone
)
CHANGES = st.lists(STANDING.map(lambda one: decode_file_record(orjson.dumps(one))), max_size=30)
QUESTIONS = st.lists(st.tuples(*[st.integers(0, 12)] * len(SINGLE)), min_size=1, max_size=4)
"""Offsets of the four topics, some of them beyond what there is."""


@given(changes=CHANGES, asked=st.data(), states_max=st.integers(1, 4))
def test_a_registry_that_is_led_on_is_the_fold_of_just_what_the_offsets_include(
    changes: list[FileRecord], asked: st.DataObject, states_max: int
) -> None:
    history = RegistryHistory()
    taken: dict[str, list[FileRecord]] = {topic: [] for topic in SINGLE}
    base = dict.fromkeys(SINGLE, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream.audit.history.STATES_MAX", states_max)
        for moment, record in enumerate(changes):
            topic = record.topic if isinstance(record, Tombstone) else _topic_of(record)
            history.take(topic, len(taken[topic]), moment, record)
            taken[topic].append(record)
            if asked.draw(st.sampled_from((False, False, True)), label="settle"):
                history.settle(moment + 1)
                base = {name: len(records) for name, records in taken.items()}
            for bounds in asked.draw(QUESTIONS):
                state = history.as_of({name: (bound,) for name, bound in zip(SINGLE, bounds, strict=True)})
                if any(to > bound for to, bound in zip(base.values(), bounds, strict=True)):
                    assert state is None
                    continue
                assert state is not None
                model = Registry()
                for name, bound in zip(SINGLE, bounds, strict=True):
                    model.apply(taken[name][:bound])
                assert _standing(state) == _standing(model)
        now = history.at(BIG)
        assert now is not None
        assert _standing(now) == _standing(registry_of([record for some in taken.values() for record in some]))


def test_an_order_more_leads_a_registry_on_that_was_there_and_applies_nothing_twice() -> None:
    history = RegistryHistory()
    for place in range(100):
        history.take(SENDERS, place, 0, _sender(f"ORG-{place}"))
    answers: list[Registry] = []
    for place in range(3 * STATES_MAX):
        history.take(ORDERS, place, 0, Order(order=f"O-{place}", measure="stop", from_=1, basis="measures", sender="A"))
        answer = history.at(BIG)
        assert answer is not None
        assert answer.generation == 100 + place + 1, "a generation is a record that was applied"
        answers.append(answer)
    assert len(set(map(id, answers))) == STATES_MAX


def _standing(registry: Registry) -> tuple[object, ...]:
    """All that a registry answers, but for wills, in the order in which it answers."""
    kept = (registry.senders, registry.orders, registry.campaigns, registry.wordlists)
    owners = [
        {prefix: (held.sender, held.entry) for prefix, held in ownership.owners()}
        for ownership in registry.ownership.values()
    ]
    on_senders = [list(registry.orders_on_sender(name)) for name in strategies.SENDERS]
    on_numbers = [list(registry.orders_on_number(number)) for number in strategies.FROMS]
    return [list(one.items()) for one in kept], owners, on_senders, on_numbers


def test_a_refusal_is_measured_once_for_each_worker_that_was_there_before_it() -> None:
    propagation = Propagation(2)
    assert propagation.reach("a", (0, 0), 1_000) == []
    propagation.take(0, 0, 1_100)
    propagation.take(1, 0, 1_200)
    assert propagation.reach("a", (1, 0), 1_150) == [50]
    assert propagation.reach("a", (1, 1), 1_250) == [50]
    assert propagation.reach("b", (1, 1), 9_000) == [], "it started with them"
    assert propagation.reach("a", (1, 1), 9_000) == []
    propagation.take(0, 1, 9_100)
    assert propagation.reach("b", (2, 1), 9_050) == [0], "clocks of two hosts: not before it was said"
