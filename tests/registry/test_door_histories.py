"""Histories at the door, of requests in any order, against a plain model: DESIGN section 3 over lists and sets."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import NamedTuple

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bloom.bitmaps import Wills
from bloom.number import Msisdn
from bloom.wills import CHANNELS, Verb
from stream.model.registry import Expression, NumberEntry, Order, Record, Sender, Tombstone, key_of
from stream.model.requests import NO_VERSION, RegistryAnswer, RegistryRequest, Statements
from stream.model.topics import EXPRESSIONS, ORDERS, SENDERS
from stream.policy.loading import load
from stream.registry import claims
from stream.registry.door import Admitted, AskedRequest, Door, evidence_over, lifts_of_expired
from stream.registry.erasure import EVIDENCE_KEPT_MS
from stream.registry.known import StandingRecord
from stream.registry.registry import expression_row_of
from tests.registry.in_memory import InMemory

START = 1_795_500_000_000
SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000
EXAMPLES = 100
DOOR = Door(load(None).numbering)
SUBSCRIBERS = ("+8613800138000", "+8613900139000")
NAMES = (None, "S1", "S2")

_Scope = tuple[str | None, str | None]


class Logged(NamedTuple):
    """A record of a topic, at the offset that is its place in the log."""

    topic: str
    key: str
    record: Record | None
    written: int


def compacted(log: Sequence[Logged]) -> list[tuple[int, Logged]]:
    """What compaction leaves at once: of each key the last record, and no null value."""
    last = {(one.topic, one.key): offset for offset, one in enumerate(log)}
    return [(offset, log[offset]) for offset in sorted(last.values()) if log[offset].record is not None]


class History(RuleBasedStateMachine):
    """A registrar: a log, what it knows, its clock, and every request that was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.log: list[Logged] = []
        self.known = InMemory(categories={"c1", "c2"})
        self.answered: list[tuple[RegistryRequest, bool, RegistryAnswer]] = []
        self._ids = count()

    def request(self, records: Sequence[Record | Tombstone], **more: object) -> RegistryRequest:
        stated = {"id": f"r{next(self._ids)}", "time": self.now, "actor": "test", "records": tuple(records)} | more
        return RegistryRequest(**stated)  # type: ignore[arg-type]

    def ask(self, requests: Sequence[RegistryRequest], *, of_file: bool = False) -> list[RegistryAnswer]:
        asked = [AskedRequest(f"requests:0:{place}", one, of_file) for place, one in enumerate(requests)]
        admitted = DOOR.admit(asked, self.known, self.now)
        answers = admitted.answered(self.write(admitted))
        self.known.remember(answers)
        self.answered += [(one, of_file, answer) for one, answer in zip(requests, answers, strict=True)]
        return answers

    def write(self, admitted: Admitted) -> list[int]:
        offsets = []
        for topic, key, record, *_ in admitted.records:
            offsets.append(len(self.log))
            self.known.take(topic, key, record, written=self.now, offset=len(self.log))
            self.log.append(Logged(topic, key, record, self.now))
        return offsets

    @rule(ms=st.sampled_from([1, SECOND, MINUTE, 20 * MINUTE, DAY, EVIDENCE_KEPT_MS]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(data=st.data())
    def somebody_asks_the_same_again(self, data: st.DataObject) -> None:
        """Whatever was written since: a client that got no answer does not know."""
        if not self.answered:
            return
        request, of_file, answer = data.draw(st.sampled_from(self.answered))
        before = len(self.log)
        assert self.ask([request, request], of_file=of_file) == [answer, answer]
        assert len(self.log) == before

    @rule()
    def the_registrar_begins_anew(self) -> None:
        """What it knows is what a topic that was compacted gives, and the answers."""
        anew = InMemory(categories={"c1", "c2"})
        for offset, (topic, key, record, written) in compacted(self.log):
            anew.take(topic, key, record, written=written, offset=offset)
        for subscriber in SUBSCRIBERS:
            assert list(anew.standing(subscriber)) == list(self.known.standing(subscriber))
        anew.remember(answer for *_, answer in self.answered)
        self.known = anew


# ---- expressions


class Standing(NamedTuple):
    """What the model knows of an expression."""

    expression: Expression
    counts: int


def scope_of(one: Expression) -> _Scope:
    return one.sender, one.category


def covers(broad: _Scope, narrow: _Scope) -> bool:
    return all(one in (None, other) for one, other in zip(broad, narrow, strict=True))


def overlap(one: _Scope, other: _Scope) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def fold(expressions: Iterable[Expression]) -> tuple[set[_Scope], set[_Scope]]:
    """The refusals and consents of one subscriber and channel: the table of DESIGN section 3."""
    refusals, consents = set[_Scope](), set[_Scope]()
    for one in expressions:
        scope = scope_of(one)
        if one.will == "consent":
            consents.add(scope)
            refusals.discard(scope)
        else:
            refusals = {other for other in refusals if not covers(scope, other)}
            consents = {other for other in consents if not covers(scope, other)}
            if one.will == "refuse":
                refusals.add(scope)
    return refusals, consents


class Model:
    """One subscriber and channel: the last expression of each scope in order of receipt, and all that was written."""

    def __init__(self) -> None:
        self.last: dict[_Scope, Standing] = {}
        self.written: list[Expression] = []

    def staying(self, lift: Expression) -> list[Expression]:
        """What holds of scopes narrower than that of a lift, in order of receipt."""
        refusals, consents = fold(self.written)
        return [
            one
            for scope, (one, _) in self.last.items()
            if scope != scope_of(lift)
            and covers(scope_of(lift), scope)
            and scope in {"refuse": refusals, "consent": consents}.get(one.will, ())
        ]

    def verdict(self, one: Expression, now: int, *, of_file: bool, staying: Sequence[Expression]) -> str:
        """What becomes of it: `already`, `late` or `written`."""
        scope = scope_of(one)
        if scope in self.last and self.last[scope].expression == one:
            return "already"
        if one.will == "refuse" and one.time >= now - MINUTE and not of_file:
            return "written"
        for other, standing in self.last.items():
            if overlap(scope, other) and standing.counts > min(one.time, now) and standing.expression not in staying:
                return "late"
        return "written"

    def write(self, one: Expression, now: int) -> None:
        self.last.pop(scope_of(one), None)
        self.last[scope_of(one)] = Standing(one, min(one.time, now))
        self.written.append(one)

    def take(self, one: Expression, now: int, *, of_file: bool, stays: bool) -> str:
        """Take an expression at the door, with what it entails."""
        staying = self.staying(one) if stays and one.will == "lift" else []
        verdict = self.verdict(one, now, of_file=of_file, staying=staying)
        if verdict == "written":
            for written in (one, *staying):
                self.write(written, now)
        return verdict


@st.composite
def _expressions(draw: st.DrawFn) -> Expression:
    """Times around the bounds that count, to the clock that `History` has: it is added there."""
    scope = draw(st.sampled_from(NAMES)), draw(st.sampled_from([None, "c1", "c2"]))
    wills: list[Verb] = ["refuse", "lift"] if None in scope else ["refuse", "lift", "consent"]
    moments = [0, -1, -SECOND, -MINUTE, -MINUTE - 1, -2 * MINUTE, -DAY, 20 * MINUTE]
    return Expression(
        subscriber=draw(st.sampled_from(SUBSCRIBERS)),
        channel=draw(st.sampled_from(CHANNELS)),
        will=draw(st.sampled_from(wills)),
        time=DAY + draw(st.sampled_from(moments)),
        source="test",
        sender=scope[0],
        category=scope[1],
        expires=MINUTE if draw(st.booleans()) else msgspec.UNSET,
    )


class ExpressionHistory(History):
    """Everything that may be said about two subscribers, by whoever asks."""

    def __init__(self) -> None:
        super().__init__()
        self.models = {(one, channel): Model() for one in SUBSCRIBERS for channel in CHANNELS}

    def _at_this_time(self, one: Expression) -> Expression:
        fields = {name: getattr(one, name) for name in one.__struct_fields__}
        fields["time"] += self.now - DAY
        if one.will != "consent":
            del fields["expires"]
        elif isinstance(one.expires, int):
            fields["expires"] = max(self.now, fields["time"]) + one.expires
        return Expression(**fields)

    @rule(
        batch=st.lists(st.lists(_expressions(), min_size=1, max_size=3), min_size=1, max_size=3),
        of_file=st.booleans(),
        stays=st.booleans(),
    )
    def they_are_asked_for(self, batch: list[list[Expression]], of_file: bool, stays: bool) -> None:  # noqa: FBT001
        asked = [[self._at_this_time(one) for one in records] for records in batch]
        stated = Statements(unregistered=True, narrower_stay=stays)
        answers = self.ask([self.request(records, stated=stated) for records in asked], of_file=of_file)
        for records, answer in zip(asked, answers, strict=True):
            verdicts = [
                "already" if not stays and self._repeated(records, place) else self._take(one, of_file, stays)
                for place, one in enumerate(records)
            ]
            assert [(one.place, one.code) for one in answer.refusals] == [
                (place, verdict) for place, verdict in enumerate(verdicts) if verdict == "late"
            ]
            assert (answer.admitted, answer.already) == (
                len(verdicts) - verdicts.count("late"),
                verdicts.count("already"),
            )

    def _take(self, one: Expression, of_file: bool, stays: bool) -> str:  # noqa: FBT001
        return self.models[one.subscriber, one.channel].take(one, self.now, of_file=of_file, stays=stays)

    @staticmethod
    def _repeated(records: Sequence[Expression], place: int) -> bool:
        """Whether the subscriber's very next expression in the request is about the same scope, of the same time."""
        one = records[place]
        following = [
            other
            for other in records[place + 1 :]
            if (other.subscriber, other.channel) == (one.subscriber, one.channel)
        ]
        return bool(following) and (scope_of(following[0]), following[0].time) == (scope_of(one), one.time)

    @rule(subscriber=st.sampled_from(SUBSCRIBERS), behind=st.integers(0, 2), will=st.sampled_from(["refuse", "lift"]))
    def somebody_writes_what_they_decided_from_a_version(self, subscriber: str, behind: int, will: str) -> None:
        """Of three that saw the same, only one is admitted; whoever saw less, never."""
        offsets = [offset for offset, one in compacted(self.log) if one.key.startswith(subscriber)]
        versions = [NO_VERSION, *offsets]
        seen = versions[max(0, len(versions) - 1 - behind)]
        one = Expression(subscriber, "sms", will, self.now, "test")  # type: ignore[arg-type]
        first, second = self.ask([self.request([one], if_version=seen, actor=str(n)) for n in range(2)])
        if seen != versions[-1]:
            assert [refusal.code for refusal in first.refusals] == ["version"]
            assert first.version == second.version == versions[-1]
            return
        verdict = self._take(one, False, False)
        assert (first.admitted, first.already) == (verdict != "late", verdict == "already")
        # Where nothing was written, what the second saw stands.
        assert bool(second.refused) == (verdict in ("written", "late"))

    @rule(subscriber=st.sampled_from(SUBSCRIBERS))
    def a_subscriber_is_erased(self, subscriber: str) -> None:
        """At once nothing of it holds; consents alone are left, whose evidence is kept, each behind a lift of all."""
        (answer,) = self.ask([self.request((), erase=subscriber)])
        left = {one.key: one.record for _, one in compacted(self.log) if one.key.startswith(subscriber)}
        consents = [one for one in left.values() if isinstance(one, Expression) and one.will == "consent"]
        assert len(consents) == answer.kept_count
        assert (answer.kept_until or 0) <= self.now + EVIDENCE_KEPT_MS
        assert len(left) - len(consents) == len({one.channel for one in consents})
        assert (answer.version == NO_VERSION) == (not left)
        for channel in CHANNELS:
            self.models[subscriber, channel] = model = Model()
            for one in left.values():
                assert isinstance(one, Expression)
                if one.channel == channel:
                    written = next(each.written for each in reversed(self.log) if each.record == one)
                    model.write(one, written)
            assert fold(model.written) == (set(), set())

    @rule()
    def the_clock_ends_consents(self) -> None:
        before, due_by_now = len(self.log), list(self.known.expiring(self.now))
        self.write(lifts_of_expired([one.expression for one in due_by_now if one.expression.will == "consent"]))
        lifted = {one.key for one in self.log[before:]}
        for model in self.models.values():
            due = [
                one
                for one, _ in model.last.values()
                if one.will == "consent" and isinstance(one.expires, int) and one.expires <= self.now
            ]
            for one in due:
                lifted.remove(key_of(one))
                fields = {name: getattr(one, name) for name in ("subscriber", "channel", "time", "sender", "category")}
                model.write(Expression(will="lift", source="expired", **fields), self.now)
        assert not lifted
        for lift in due_by_now:
            if lift.expression.will == "lift":
                self._evidence_goes(lift)

    def _evidence_goes(self, lift: StandingRecord) -> None:
        """Of what stood before it nothing is left, and of what was said since, all."""
        subscriber, channel = lift.expression.subscriber, lift.expression.channel
        behind = f"{subscriber}|{channel}|"
        self.write(evidence_over(lift, self.known.standing(subscriber)))
        left = [one for offset, one in compacted(self.log) if one.key.startswith(behind)]
        assert all(one.written >= lift.written for one in left)
        model = self.models[subscriber, channel]
        assert {one.key for one in left} == {
            key_of(one) for one, _ in model.last.values() if one not in self._before(lift, model)
        }
        gone = {scope_of(one) for one in self._before(lift, model)}
        model.last = {scope: one for scope, one in model.last.items() if scope not in gone}

    @staticmethod
    def _before(lift: StandingRecord, model: Model) -> list[Expression]:
        """The lift, and what of the model's last expressions came before it."""
        last = [one for one, _ in model.last.values()]
        return last[: last.index(lift.expression) + 1]

    @invariant()
    def the_fold_of_the_log_is_the_model_s(self) -> None:
        self._folds_alike(self.log)

    @rule(data=st.data())
    def the_log_is_compacted_up_to_somewhere(self, data: st.DataObject) -> None:
        """As brokers do: up to a segment that is open, which may begin in the midst of what belongs together."""
        cut = data.draw(st.integers(0, len(self.log)))
        self._folds_alike([*(one for _, one in compacted(self.log[:cut])), *self.log[cut:]])

    def _folds_alike(self, log: Sequence[Logged]) -> None:
        wills = Wills()
        wills.apply([expression_row_of(record) for _, _, record, _ in log if isinstance(record, Expression)])
        for (subscriber, channel), model in self.models.items():
            refusals, consents = wills.expressions_of(channel, Msisdn(int(subscriber)))
            assert (set(refusals), set(consents)) == fold(model.written)

    @invariant()
    def nothing_ends_a_refusal_that_was_given_after_it(self) -> None:
        """Straight over the log: a consent or lift stands behind no refusal that counts from later.

        But for what the registrar writes of itself: the lift before an erasure, what an expired consent leaves, and
        what is written again after a lift.
        """
        standing: dict[str, Logged] = {}
        for topic, key, one, written in self.log:
            if topic != EXPRESSIONS:
                continue
            earlier = standing.pop(key, None)
            if one is None:
                continue
            assert isinstance(one, Expression)
            again = earlier is not None and earlier.record == one
            if one.will != "refuse" and one.source == "test" and not again:
                for other in (*standing.values(), *filter(None, [earlier])):
                    assert isinstance(other.record, Expression)
                    if (
                        other.record.will == "refuse"
                        and (other.record.subscriber, other.record.channel) == (one.subscriber, one.channel)
                        and covers(scope_of(one), scope_of(other.record))
                    ):
                        stays = min(other.record.time, other.written) > min(one.time, written)
                        assert not stays or self._written_again(other)
            standing[key] = Logged(topic, key, one, written)

    def _written_again(self, one: Logged) -> bool:
        return sum(other.record == one.record for other in self.log) > 1


# ---- senders


PREFIXES = ("1069", "10691", "106912", "10692")


class SenderHistory(History):
    """Senders that claim, give up, take over and share prefixes, and orders that bar them from new ones."""

    def __init__(self) -> None:
        super().__init__()
        self.holdings: dict[str, set[str]] = {}
        self.shared = set[tuple[str, str]]()
        self.limited: str | None = None
        self.removed: dict[str, set[str]] = {}

    @initialize()
    def one_is_there(self) -> None:
        self.a_sender_is_written("S1", {"1069"}, set(), set(), None)

    @rule(
        name=st.sampled_from(["S1", "S2", "S3"]),
        prefixes=st.sets(st.sampled_from(PREFIXES), max_size=3),
        take_over=st.sets(st.sampled_from(["S1", "S2", "S3"]), max_size=1),
        sub_port_of=st.sets(st.sampled_from(["S1", "S2", "S3"]), max_size=1),
        behind=st.sampled_from([None, None, 0, 1]),
    )
    def a_sender_is_written(
        self, name: str, prefixes: set[str], take_over: set[str], sub_port_of: set[str], behind: int | None
    ) -> None:
        entries = tuple(NumberEntry(prefix, "sms", ("commercial",)) for prefix in sorted(prefixes))
        record = Sender(name, name, "95588", "active", entries)
        versions = [NO_VERSION, *(offset for offset, one in compacted(self.log) if one.key == name)]
        seen = None if behind is None else versions[max(0, len(versions) - 1 - behind)]
        stated = Statements(take_over=tuple(take_over), sub_port_of=tuple(sub_port_of))
        (answer,) = self.ask([self.request([record], stated=stated, if_version=seen)])
        expected = self._expected(name, prefixes, take_over, sub_port_of)
        if seen not in (None, versions[-1]):
            expected = "version"
        elif self.holdings.get(name) == prefixes:
            expected = "already"
        assert [one.code for one in answer.refusals] == ([] if expected in ("written", "already") else [expected])
        if expected == "written":
            self._hand_over(name, prefixes, take_over, sub_port_of)

    def _expected(self, name: str, prefixes: set[str], take_over: set[str], sub_port_of: set[str]) -> str:
        new = prefixes - self.holdings.get(name, set())
        if name == self.limited and new - self.removed.get(name, set()):
            return "under-limit"
        for prefix in new:
            for other, holding in self.holdings.items():
                for held in holding if other != name else ():
                    within = prefix != held and prefix.startswith(held)
                    meets = prefix.startswith(held) or held.startswith(prefix)
                    if meets and other not in take_over and not (within and other in sub_port_of):
                        return "claim"
        return "written"

    def _hand_over(self, name: str, prefixes: set[str], take_over: set[str], sub_port_of: set[str]) -> None:
        new = prefixes - self.holdings.get(name, set())
        self.shared |= {(name, other) for other in take_over | sub_port_of}
        for other in take_over - {name}:
            if other in self.holdings:
                self.holdings[other] = {one for one in self.holdings[other] if not any(map(one.startswith, new))}
        self.holdings[name] = set(prefixes)
        self.removed.pop(name, None)

    @rule(name=st.sampled_from(["S1", "S2", "S3"]))
    def a_sender_is_removed(self, name: str) -> None:
        (answer,) = self.ask([self.request([Tombstone(SENDERS, name)])])
        assert (answer.admitted, answer.already) == (1, name not in self.holdings)
        if name in self.holdings:
            self.removed[name] = self.holdings.pop(name)

    @rule(name=st.sampled_from([None, "S1", "S2"]))
    def an_order_limits_a_sender(self, name: str | None) -> None:
        """The control plane's topic, which the registrar follows."""
        until = None if name else self.now
        order = Order(order="O-1", measure="limit", from_=START, basis="measures", sender=name or "S1", until=until)
        self.known.take(ORDERS, "O-1", order, written=self.now, offset=len(self.log))
        self.log.append(Logged(ORDERS, "O-1", order, self.now))
        self.limited = name

    @rule()
    def the_registrar_begins_anew(self) -> None:
        """As with expressions; only what a removed sender held is forgotten where its tombstone was compacted away."""
        super().the_registrar_begins_anew()
        self.removed.clear()

    @invariant()
    def everybody_holds_what_they_were_given(self) -> None:
        senders = self.known.registry.senders
        held = {name: {entry.prefix for entry in record.numbers} for name, record in senders.items()}
        assert held == self.holdings

    @invariant()
    def nobody_holds_what_is_another_s_but_by_a_hand_over_that_was_stated(self) -> None:
        for clash in claims.clashes(self.known.registry):
            assert clash.prefix != clash.other_prefix
            assert (clash.sender, clash.other) in self.shared


def test_histories_of_expressions() -> None:
    run_state_machine_as_test(ExpressionHistory, settings=settings(max_examples=EXAMPLES, stateful_step_count=25))


def test_histories_of_senders() -> None:
    run_state_machine_as_test(SenderHistory, settings=settings(max_examples=EXAMPLES, stateful_step_count=25))
