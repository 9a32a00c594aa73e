"""The one door to the registry: what is written of requests, and what they are answered (DESIGN section 14)."""

from itertools import count

import msgspec
import pytest

from bloom.partition import partition_of
from stream.model import limits
from stream.model.codec import Undecodable, encode
from stream.model.registry import Expression, NumberEntry, Sender, Tombstone, Wordlist, key_of
from stream.model.requests import (
    NO_VERSION,
    KeptConsent,
    RegistryAnswer,
    RegistryRequest,
    Statements,
    decode_request,
)
from stream.model.topics import EXPRESSIONS, WORDLISTS
from stream.policy.loading import load
from stream.registry.door import Admitted, AskedRequest, Door, evidence_over, lifts_of_expired, unreadable
from stream.registry.erasure import EVIDENCE_KEPT_MS
from stream.registry.standing import holding
from tests.registry.in_memory import InMemory

NOW = 1_795_500_000_000
DAY_MS = 86_400_000
NUMBERING = load(None).numbering
DOOR = Door(NUMBERING)
A, B = "+8613800138000", "+8613900139000"


class Registrar:
    """A door and what it knows, led on as a registrar does: what was admitted is written, then known."""

    def __init__(self, door: Door = DOOR) -> None:
        self.known = InMemory(categories={"finance", "other"})
        self.log: list[tuple[str, str, object]] = []
        self.now = NOW
        self._door = door
        self._ids = count()

    def request(self, *records: object, **more: object) -> RegistryRequest:
        stated = {"id": f"r{next(self._ids)}", "time": self.now, "actor": "test", "records": records} | more
        return RegistryRequest(**stated)  # type: ignore[arg-type]

    def ask_all(self, *requests: RegistryRequest, of_file: bool = False) -> list[RegistryAnswer]:
        asked = [AskedRequest(f"requests:0:{place}", request, of_file) for place, request in enumerate(requests)]
        admitted = self._door.admit(asked, self.known, self.now)
        answers = admitted.answered(self._written(admitted))
        self.known.remember(answers)
        return answers

    def expire(self) -> list[object]:
        """What the registrar writes by itself now."""
        due = list(self.known.expiring(self.now))
        records = lifts_of_expired([one.expression for one in due if one.expression.will == "consent"]).records
        for lift in due:
            if lift.expression.will == "lift":
                records += evidence_over(lift, self.known.standing(lift.expression.subscriber)).records
        return [self.log[offset][2] for offset in self._written(Admitted(records))]

    def _written(self, admitted: Admitted) -> list[int]:
        offsets = []
        for topic, key, record, value, _ in admitted.records:
            assert value == (None if record is None else encode(record))
            offsets.append(len(self.log))
            self.known.take(topic, key, record, written=self.now, offset=len(self.log))
            self.log.append((topic, key, record))
        return offsets

    def ask(self, *records: object, **more: object) -> RegistryAnswer:
        (answer,) = self.ask_all(self.request(*records, **more))
        return answer


def said(will: str, *, of: str = A, time: int = NOW - DAY_MS, **more: object) -> Expression:
    stated = {"subscriber": of, "channel": "sms", "will": will, "time": time, "source": "test"} | more
    return Expression(**stated)  # type: ignore[arg-type]


def consent(**more: object) -> Expression:
    return said(**{"will": "consent", "sender": "ORG-1", "category": "finance"} | more)  # type: ignore[arg-type]


def sender(name: str, *prefixes: str, **more: object) -> Sender:
    numbers = tuple(NumberEntry(prefix, "sms", ("commercial",)) for prefix in prefixes)
    stated = {"sender": name, "name": name, "contact": "95588", "status": "active", "numbers": numbers} | more
    return Sender(**stated)  # type: ignore[arg-type]


def codes(answer: RegistryAnswer) -> list[tuple[str, int | None]]:
    return [(one.code, one.place) for one in answer.refusals]


def test_what_is_admitted_is_written_and_its_offset_is_the_version() -> None:
    registrar = Registrar()
    answer = registrar.ask(said("refuse"), said("refuse", of=B))
    assert (answer.admitted, answer.already, answer.refused, answer.version) == (2, 0, 0, 1)
    assert [key for _, key, _ in registrar.log] == [key_of(said("refuse")), key_of(said("refuse", of=B))]


def test_a_word_older_than_what_stands_is_refused_and_a_refusal_given_now_is_not() -> None:
    registrar = Registrar()
    registrar.ask(said("lift", time=NOW - 1))
    assert codes(registrar.ask(said("refuse"))) == [("late", 0)]
    refusal = said("refuse", time=NOW - 2)
    (in_file,) = registrar.ask_all(registrar.request(refusal), of_file=True)
    assert codes(in_file) == [("late", 0)]
    assert registrar.ask(refusal).admitted == 1


def test_each_request_sees_what_those_before_it_did() -> None:
    registrar = Registrar()
    lift, late, refusal = (said("lift", time=NOW - 90_000), consent(), said("refuse", time=NOW))
    answers = registrar.ask_all(*(registrar.request(one) for one in (sender("ORG-1", "1069"), lift, late, refusal)))
    assert [codes(one) for one in answers] == [[], [], [("late", 0)], []]


def test_a_repeat_gets_the_same_answer_and_writes_nothing() -> None:
    registrar = Registrar()
    request = registrar.request(said("refuse", time=NOW))
    first, same = registrar.ask_all(request, request)
    registrar.ask(said("lift", time=NOW + 1))
    (again,) = registrar.ask_all(request)
    assert first == same == again
    assert len(registrar.log) == 2


def test_another_request_under_an_id_that_is_taken_is_refused_and_the_first_keeps_it() -> None:
    registrar = Registrar()
    first = registrar.request(said("refuse"), id="x")
    (answer,) = registrar.ask_all(first)
    assert codes(registrar.ask(said("refuse", of=B), id="x")) == [("id-taken", None)]
    assert registrar.ask_all(first) == [answer]


def test_compare_and_set_by_version() -> None:
    registrar = Registrar()
    first = registrar.ask(said("refuse"), if_version=NO_VERSION)
    assert codes(registrar.ask(said("lift", time=NOW), if_version=NO_VERSION)) == [("version", None)]
    assert registrar.ask(said("lift", time=NOW), if_version=first.version).admitted == 1
    assert codes(registrar.ask(said("refuse"), said("refuse", of=B), if_version=1)) == [("subject", None)]


def test_of_two_that_saw_one_version_in_one_batch_the_second_is_refused() -> None:
    registrar = Registrar()
    one, other = (registrar.request(sender("ORG-1", prefix), if_version=NO_VERSION) for prefix in ("1069", "1068"))
    first, second = registrar.ask_all(one, other)
    assert (first.admitted, first.version) == (1, 0)
    assert codes(second) == [("version", None)]
    assert second.version == first.version


def test_senders_and_word_lists_that_stand_are_not_written_again_and_tombstones_leave_no_version() -> None:
    registrar = Registrar()
    words = Wordlist("l", ("term",))
    assert registrar.ask(sender("ORG-1", "1069"), words).admitted == 2
    again = registrar.ask(sender("ORG-1", "1069"), words)
    assert (again.admitted, again.already, len(registrar.log)) == (2, 2, 2)
    gone = registrar.ask(Tombstone(WORDLISTS, "l"))
    assert (gone.admitted, gone.version) == (1, NO_VERSION)
    assert registrar.ask(Tombstone(WORDLISTS, "l")).already == 1


def test_numbers_of_others_need_the_hand_over_stated() -> None:
    registrar = Registrar()
    registrar.ask(sender("ORG-1", "1069"))
    assert codes(registrar.ask(sender("ORG-2", "10691"))) == [("claim", 0)]
    assert registrar.ask(sender("ORG-2", "10691"), stated=Statements(sub_port_of=("ORG-1",))).admitted == 1
    answer = registrar.ask(sender("ORG-3", "1069"), stated=Statements(take_over=("ORG-1", "ORG-2")))
    assert (answer.admitted, answer.version) == (1, len(registrar.log) - 1)
    assert [entry.prefix for entry in registrar.known.registry.senders["ORG-1"].numbers] == []


def test_a_consent_to_whom_nobody_knows_is_refused_unless_it_is_meant() -> None:
    registrar = Registrar()
    answer = registrar.ask(consent(), said("refuse", sender="ORG-1"))
    assert codes(answer) == [("unknown-name", 0)]
    assert [one.count for one in answer.unknown] == [2]
    assert registrar.ask(consent(), stated=Statements(unregistered=True)).admitted == 1
    assert registrar.ask(sender("ORG-2", "1069"), consent(sender="ORG-2")).admitted == 2


def test_an_erasure_lifts_everything_and_takes_all_keys_the_lift_last() -> None:
    registrar = Registrar()
    registrar.ask(said("refuse"), said("refuse", sender="ORG-1"), said("refuse", of=B))
    answer = registrar.ask(erase=A)
    assert (answer.admitted, answer.version) == (2, NO_VERSION)
    written = registrar.log[3:]
    assert [record and record.will for _, _, record in written] == ["lift", None, None]  # type: ignore[attr-defined]
    assert written[-1][1] == written[0][1] == key_of(said("lift"))
    assert registrar.known.standing(A) == ()
    assert registrar.ask(said("refuse"), if_version=NO_VERSION).admitted == 1


def test_an_erasure_leaves_the_evidence_of_consents_for_five_months_and_then_takes_it_too() -> None:
    registrar = Registrar()
    registrar.ask(sender("ORG-1", "1069"), consent(), said("refuse", sender="ORG-1"), said("refuse", of=B))
    registrar.now += EVIDENCE_KEPT_MS
    registrar.ask(consent(category="other", time=registrar.now), said("refuse", sender="ORG-2"))
    answer = registrar.ask(erase=A)
    assert answer.admitted == 3, "both refusals, and the consent that was ended five months ago"
    assert answer.kept == (KeptConsent("sms", "ORG-1", "other"),)
    assert (answer.kept_count, answer.kept_until) == (1, registrar.now + EVIDENCE_KEPT_MS)
    lift = registrar.known.standing(A)[-1]
    assert (lift.expression.will, lift.expression.source, lift.offset) == ("lift", "erased", answer.version)
    assert holding([one.expression for one in registrar.known.standing(A)]) == ()
    registrar.now += DAY_MS
    again = registrar.ask(erase=A)
    assert (again.admitted, again.kept_until) == (0, answer.kept_until), "asking again keeps nothing longer"
    assert registrar.known.standing(A)[-1] == lift

    registrar.ask(said("refuse", sender="ORG-3", time=registrar.now))
    registrar.now += EVIDENCE_KEPT_MS
    assert registrar.expire() == [None, None]
    (left,) = registrar.known.standing(A)
    assert left.expression.sender == "ORG-3", "what was said since stays"
    assert len(registrar.known.standing(B)) == 1


def test_a_consent_that_ended_less_than_five_months_ago_is_evidence_still() -> None:
    registrar = Registrar()
    registrar.ask(sender("ORG-1", "1069"), consent(), said("refuse", sender="ORG-1"))
    registrar.now += EVIDENCE_KEPT_MS - 1
    assert registrar.ask(erase=A).kept_count == 1


def test_a_lift_takes_its_own_scope_back_where_the_narrower_ones_stay() -> None:
    registrar = Registrar()
    narrow, newer = said("refuse", sender="ORG-1"), said("refuse", sender="ORG-2", time=NOW)
    registrar.ask(narrow, said("refuse", time=NOW - 2 * DAY_MS), said("refuse", category="finance"), newer)
    lift = said("lift", time=NOW - DAY_MS)
    assert codes(registrar.ask(lift)) == [("late", 0)], "the newer narrower one would be lifted too"
    answer = registrar.ask(lift, stated=Statements(narrower_stay=True))
    again = [key for _, key, _ in registrar.log[-4:]]
    assert again == [key_of(one) for one in (lift, narrow, said("refuse", category="finance"), newer)]
    assert (answer.admitted, answer.version) == (1, len(registrar.log) - 1)
    assert registrar.ask(lift, stated=Statements(narrower_stay=True)).already == 1


def test_where_something_came_about_its_very_scope_since_it_was_read_an_expression_is_refused() -> None:
    registrar = Registrar()
    registrar.ask(said("refuse"), said("refuse", of=B))
    read_to = len(registrar.log)
    registrar.ask(said("refuse", time=NOW - DAY_MS + 1, source="letters"), said("refuse", of=B, sender="ORG-1"))
    since = Statements(narrower_stay=True, read_to=read_to)
    lifts = [said("lift", time=NOW - 1), said("lift", of=B, time=NOW - 1)]
    answer = registrar.ask(*lifts, stated=since)
    assert (codes(answer), answer.admitted, answer.written) == ([("changed", 0)], 1, 2)
    assert codes(registrar.ask(said("refuse", of=B, time=NOW), stated=since)) == [("changed", 0)]
    assert registrar.ask(said("lift", of=B, time=NOW - 1), stated=since).already == 1, "it is what stands"
    new = said("refuse", of="+8613700137000")
    assert registrar.ask(new, new, stated=since).admitted == 2


def test_a_request_that_states_its_content_is_a_repeat_whatever_its_moment() -> None:
    registrar = Registrar()
    first = registrar.ask(said("refuse", time=NOW), id="x", content=1)
    registrar.now += 5
    assert registrar.ask(said("refuse", time=NOW + 5), id="x", content=1) == first
    assert codes(registrar.ask(said("refuse", time=NOW + 5), id="x", content=2)) == [("id-taken", None)]
    assert len(registrar.log) == 1


def test_a_consent_that_expires_is_lifted_then_and_what_was_said_after_it_is_not_late() -> None:
    registrar = Registrar()
    registrar.ask(sender("ORG-1", "1069"))
    once = consent(expires=NOW + 5)
    registrar.ask(once, consent(category="other", expires=NOW + 9))
    assert registrar.expire() == []
    registrar.now = NOW + 5
    (lift,) = registrar.expire()
    assert lift == consent(will="lift", source="expired")
    assert registrar.expire() == []
    assert codes(registrar.ask(once)) == [("expires", 0)]
    assert registrar.ask(consent(time=once.time + 1)).admitted == 1


def test_no_lift_follows_a_consent_that_is_not_the_last_of_its_scope() -> None:
    registrar = Registrar()
    registrar.ask(consent(expires=NOW + 5), stated=Statements(unregistered=True))
    registrar.ask(consent(will="refuse", time=NOW))
    registrar.now = NOW + 9
    assert registrar.expire() == []


@pytest.mark.parametrize(
    ("record", "code"),
    [
        pytest.param(said("refuse", of="+8610123"), "number", id="nobody's number"),
        pytest.param(said("refuse", time=NOW // 1000), "time", id="seconds"),
        pytest.param(said("refuse", sender="a|b"), "key", id="a bar in a name"),
        pytest.param(said("refuse", expires=NOW + 5), "expires", id="a refusal that expires"),
        pytest.param(consent(expires=NOW), "expires", id="a consent that has expired"),
        pytest.param(consent(expires=NOW + 4_000 * DAY_MS), "expires", id="a consent for eleven years"),
        pytest.param(said("refuse", evidence="x" * 4_001), "limit", id="evidence too long"),
        pytest.param(sender("ORG-1", "138"), "prefix", id="a prefix that no number has"),
        pytest.param(Tombstone(EXPRESSIONS, "x"), "topic", id="a tombstone of an expression"),
    ],
)
def test_a_record_that_may_not_be_written_is_refused_by_itself(record: object, code: str) -> None:
    registrar = Registrar()
    answer = registrar.ask(said("refuse", of=B), record)
    assert codes(answer) == [(code, 1)]
    assert answer.admitted == len(registrar.log) == 1


def test_a_request_for_another_partition_is_refused_as_a_whole() -> None:
    registrar = Registrar(Door(NUMBERING, partition=partition_of(A, 12), partitions=12))
    assert registrar.ask(said("refuse")).admitted == 1
    for records in ((said("refuse"), said("refuse", of=B)), (sender("ORG-1", "1069"),)):
        assert codes(registrar.ask(*records)) == [("wrong-partition", None)]


@pytest.mark.parametrize("time", [NOW - 8 * DAY_MS, NOW + 2 * DAY_MS])
def test_a_request_of_another_week_is_refused(time: int) -> None:
    assert codes(Registrar().ask(said("refuse"), time=time)) == [("request-time", None)]


def test_an_answer_has_twenty_refusals_in_full_and_of_the_rest_the_places() -> None:
    answer = Registrar().ask(*(said("refuse", time=5) for _ in range(30)))
    assert (answer.refused, len(answer.refusals)) == (30, 20)
    assert [(one.code, one.places) for one in answer.further] == [("time", tuple(range(20, 30)))]


def test_an_answer_is_a_record_however_much_is_wrong() -> None:
    words = [Wordlist(f"l{n}", tuple("x" * 65 for _ in range(200))) for n in range(22)]
    answer = Registrar().ask(*words)
    assert [len(one.what) for one in answer.refusals] == [limits.REASON.most] * 20
    assert len(encode(answer)) < limits.RECORD.most


def test_half_a_request_is_answered_where_its_id_can_be_read() -> None:
    data = b'{"kind":"request","id":"x","time":1795500000000,"records":[{"kind":"tombstone","topic":"a","key":"b"}]}'
    with pytest.raises(Undecodable, match="actor") as caught:
        decode_request(data)
    answer = unreadable(data, "requests:0:5", str(caught.value), NOW)
    assert answer is not None
    assert (answer.request, codes(answer)) == ("x", [("unreadable", None)])
    assert unreadable(b"{", "requests:0:5", "half", NOW) is None


def test_a_request_asks_for_one_thing() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Registrar().request(said("refuse"), erase=A)
    request = Registrar().request(said("refuse"), if_version=3, stated=Statements(take_over=("ORG-1",)))
    assert decode_request(encode(request)) == request
    assert msgspec.json.decode(encode(request))["kind"] == "request"
