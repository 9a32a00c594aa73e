"""What is kept of one person, and what of it may go: pure."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config import Config
from stream.enforce.api import subscriber_file as files
from stream.enforce.cases import store
from stream.enforce.procedures import complaint, dispute, measure
from stream.enforce.procedures.engine import Case
from stream.model.cases import CaseView
from stream.model.codec import encode
from stream.model.control import CaseId, Dispute, Party
from stream.model.registry import Expression, Order
from stream.model.requests import KeptExpression
from stream.registry.erasure import EVIDENCE_KEPT_MS
from tests.enforce.api.spoken import digits, strings
from tests.enforce.procedures import pools
from tests.enforce.procedures.pools import SUBSCRIBER
from tests.enforce.procedures.world import DAY, NOW, TERMS, finding

KEPT = max(TERMS.settings.ended_kept_ms, EVIDENCE_KEPT_MS)
OTHER = "+8613900139000"
CONFIG = Config()

Complaints = complaint.ComplaintState


def view(name: str, procedure: str, case: Case, *, ended_ago: int | None = None) -> CaseView:
    updated = NOW if ended_ago is None else NOW - ended_ago
    entry = store.Entry(procedure, msgspec.Raw(encode(msgspec.structs.replace(case, case=name, step=3))), updated)
    found = store.view_of(name, entry)
    assert found is not None
    return found


def complained(name: str, *, by: str = SUBSCRIBER, about: str | None = None, ended_ago: int | None = None) -> CaseView:
    stated = msgspec.structs.replace(pools.COMPLAINT, complaint=name.removeprefix("C-"), subscriber=by, from_=about)
    state = Complaints.RECEIVED if ended_ago is None else Complaints.ANSWERED
    return view(
        name, "complaint", complaint.ComplaintCase(case=name, state=state, complaint=stated), ended_ago=ended_ago
    )


def measured(name: str, *, ended_ago: int | None = None) -> CaseView:
    state = measure.MeasureState.IN_FORCE if ended_ago is None else measure.MeasureState.LIFTED
    found = msgspec.structs.replace(
        finding(party=Party(number=SUBSCRIBER), grounds="complaint"), evidence=("C-9", f"photo of {OTHER}")
    )
    return view(name, "measure", measure.MeasureCase(case=name, state=state, finding=found), ended_ago=ended_ago)


def by_name(*views: CaseView) -> dict[CaseId, CaseView]:
    return {one.case: one for one in views}


@given(
    st.lists(
        st.tuples(st.sampled_from(["own", "against", "mentioned"]), st.none() | st.integers(0, 2 * KEPT)), max_size=9
    )
)
@settings(deadline=None)
def test_every_case_in_which_a_number_stands_may_go_or_is_named_with_the_duty_and_until_when(
    kinds: list[tuple[str, int | None]],
) -> None:
    made = {
        "own": lambda name, ago: complained(name, ended_ago=ago),
        "against": lambda name, ago: measured(name, ended_ago=ago),
        "mentioned": lambda name, ago: complained(name, by=OTHER, about=SUBSCRIBER, ended_ago=ago),
    }
    views = by_name(*(made[kind](f"C-{place}", ago) for place, (kind, ago) in enumerate(kinds)))
    found = files.erasable(SUBSCRIBER, views, NOW, TERMS.settings)
    kept = {one.what.removeprefix("case "): one for one in found.kept}
    assert sorted((*found.gone, *kept)) == sorted(views), "each is one or the other"
    for place, (kind, ago) in enumerate(kinds):
        name = f"C-{place}"
        assert (name in found.gone) == (kind != "mentioned" and ago is not None and ago >= KEPT)
        if name in kept and kind != "mentioned":
            assert kept[name].until == (None if ago is None else NOW - ago + KEPT)
            assert (kept[name].until or NOW + 1) > NOW
            assert kept[name].why.startswith("Article")


def test_what_a_case_that_stays_rests_on_stays_with_it() -> None:
    disputed = Dispute("1", NOW, complaint="C-1", party=Party(sender="ORG-9"), subscriber=SUBSCRIBER, grounds="no")
    open_ = view(
        "D-1", "dispute", dispute.DisputeCase(case="D-1", state=dispute.DisputeState.SUBMITTED, dispute=disputed)
    )
    views = by_name(complained("C-1", ended_ago=2 * KEPT), complained("C-2", ended_ago=2 * KEPT), open_)
    found = files.erasable(SUBSCRIBER, views, NOW, TERMS.settings)
    assert found.gone == ("C-2",)
    assert [(one.what, one.ends) for one in found.kept] == [
        ("case C-1", "with that case"),
        ("case D-1", f"{KEPT // DAY} days after the case has ended"),
    ]


def test_the_file_has_own_cases_whole_and_of_others_no_more_than_that_they_are() -> None:
    views = by_name(complained("C-1", about=OTHER), complained("C-2", by=OTHER, about=SUBSCRIBER), measured("M-1"))
    said = KeptExpression(Expression(SUBSCRIBER, "sms", "refuse", NOW, "reply"), NOW, 7, counts=True)
    order = Order("O-1", "suspend", NOW, "measures", number=SUBSCRIBER)
    file = files.file_of(SUBSCRIBER, [said], [order], views, NOW, config=CONFIG, settings=TERMS.settings)
    assert (file.expressions, file.orders) == ((said,), (order,))
    parts = {one.case: one for one in file.cases}
    assert {name: one.part for name, one in parts.items()} == {"C-1": "own", "C-2": "mentioned", "M-1": "against"}
    own, about = (msgspec.json.decode(bytes(parts[name].body)) for name in ("C-1", "M-1"))
    assert own["complaint"]["from"] == OTHER, "as the person said it"
    assert about["finding"]["party"]["number"] == SUBSCRIBER
    assert bytes(parts["C-2"].body) == b"null", "who complained about a number is not told to whom it is"
    told = [*strings(about), *(one.what for one in file.kept)]
    assert not any("13900139000" in digits(text) or "photo" in text for text in told), "not who complained"
    kept = {one.what for one in file.kept}
    assert {"order O-1", "case C-1", "case C-2", "case M-1", "snapshots of the registry"} <= kept


@pytest.mark.parametrize("what", ["events", "requests", "snapshots"])
def test_what_ends_by_itself_is_named_with_its_end(what: str) -> None:
    (one,) = (one for one in files.elsewhere(NOW, CONFIG) if one.what.startswith(what))
    assert one.until is not None
    assert one.until > NOW
