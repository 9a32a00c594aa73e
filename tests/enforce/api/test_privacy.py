"""Whatever the API answers, over HTTP: the accused learns nothing of who complained, who only reads sees no number
whole, and nobody looks unseen.
"""

from typing import Final

import msgspec
import orjson
import pytest

from bloom.partition import partition_of
from stream.config import Config
from stream.enforce.api.permissions import ACTS
from stream.enforce.cases import store
from stream.enforce.procedures import appeal, complaint, dispute, listing, measure, prohibited
from stream.enforce.procedures.clocks import Clock
from stream.enforce.procedures.engine import Case, Proposal
from stream.model import topics
from stream.model.accesses import Access
from stream.model.codec import decode_as, encode
from stream.model.control import Dispute, Grounds, Party, Punishment
from stream.model.hiding import hidden
from tests.enforce.api.harness import Answer, ApiClient, running_api
from tests.enforce.api.spoken import digits, strings
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import DAY, NOW, finding
from tests.filter.harness import PARTITIONS, write

pytestmark = pytest.mark.kafka

NUMBERS: Final = ("13800138000", "13700137000")
"""Who complained, and the number that rang."""
EVIDENCE: Final = "photo of the bill of +8613800138000"
ORG_9: Final = Party(sender="ORG-9")

COMPLAINT: Final = msgspec.structs.replace(
    pools.COMPLAINT, from_="+8613700137000", text="call 137 0013 7000 now", evidence=(EVIDENCE,)
)
DISPUTE: Final = Dispute(
    "D-1", NOW, complaint="C-1", party=ORG_9, subscriber="+8613800138000", grounds=f"see {EVIDENCE}"
)


def _found(grounds: Grounds, *evidence: str) -> measure.MeasureCase:
    found = msgspec.structs.replace(finding("F-1", grounds=grounds, party=ORG_9), evidence=evidence)
    proposal = Proposal(
        "desk:17", NOW, msgspec.Raw(encode(measure.Reviewed(keep=False, reason=f"as {EVIDENCE} shows")))
    )
    state = measure.MeasureState.IN_FORCE
    return measure.MeasureCase(case="M-0", state=state, finding=found, measure="stop", proposed=proposal)


CASES: Final[dict[str, tuple[str, Case]]] = {
    "C-1": (
        "complaint",
        complaint.ComplaintCase(case="C-1", state=complaint.ComplaintState.FORWARDED, complaint=COMPLAINT, party=ORG_9),
    ),
    "C-2": (
        "complaint",
        complaint.ComplaintCase(
            case="C-2",
            state=complaint.ComplaintState.RECEIVED,
            complaint=msgspec.structs.replace(COMPLAINT, sender=None),
            clocks=(Clock("forward", NOW + DAY),),
        ),
    ),
    "D-1": ("dispute", dispute.DisputeCase(case="D-1", state=dispute.DisputeState.SUBMITTED, dispute=DISPUTE)),
    "M-1": ("measure", _found("complaint", "C-1", EVIDENCE)),
    "M-2": ("measure", _found("dispute", "D-1", EVIDENCE)),
    "M-3": ("measure", _found("prohibited-content", f"told of by {NUMBERS[0]}")),
    "X-1": (
        "prohibited-content",
        prohibited.ProhibitedCase(
            case="X-1",
            state=prohibited.ProhibitedState.FOUND,
            finding=msgspec.structs.replace(finding(party=ORG_9), evidence=(EVIDENCE,)),
        ),
    ),
    "A-1": (
        "appeal",
        appeal.AppealCase(case="A-1", state=appeal.AppealState.PENDING, appeal=pools.APPEAL),
    ),
    "L-1": (
        "listing",
        listing.ListingCase(
            case="L-1",
            state=listing.ListingState.PROPOSED,
            punishment=Punishment("1", NOW, ORG_9, "MIIT", "2026-7"),
        ),
    ),
}
"""Where a number and the complainant's evidence can stand; also in findings of versions before, and officers' words."""

OF_THE_ACCUSED: Final = {"M-1", "M-2", "M-3", "A-1", "L-1"}


async def test_no_answer_tells_the_accused_of_who_complained_or_who_only_reads_a_number_and_each_look_is_recorded(
    config: Config,
) -> None:
    await write(config, [_written(name, procedure, case) for name, (procedure, case) in CASES.items()])
    async with running_api(config, control_plane=False) as client:
        looks = 0
        for by, seen in (("sender", OF_THE_ACCUSED), ("read-only", set(CASES)), ("desk", set(CASES))):
            answers = await _everything(client, by)
            shown = {path: answer for path, answer in answers.items() if answer.status == 200}
            assert {path.removeprefix("GET /v1/cases/") for path in shown if "?" not in path} == seen
            assert {line["case"] for line in shown["GET /v1/cases?"].body["cases"]} == seen  # type: ignore[attr-defined]
            looks += len(shown)
            texts = [text for answer in answers.values() for text in strings(answer.body)]
            told = {number for number in NUMBERS if any(number in digits(text) for text in texts)}
            evidence = any("photo" in text or "bill" in text for text in texts)
            assert (told, evidence) == {
                "sender": (set(), False),
                "read-only": (set(), True),
                "desk": (set(NUMBERS), True),
            }[by], by

        accesses = [decode_as(Access, record.value) for record in await client.records(topics.ACCESSES)]
        assert len(accesses) == looks
        assert {(one.actor, one.role) for one in accesses} == {
            ("org-9", "sender"),
            ("auditor:1", "read-only"),
            ("desk:17", "desk"),
        }
        assert all(one.cases_count == len(one.cases) for one in accesses)
        of_desk = {one.cases for one in accesses if one.operation == "show-case" and one.role == "desk"}
        assert of_desk == {(name,) for name in CASES}
        asked = [one.asked for one in accesses if one.role == "desk" and "party" in one.asked]
        assert asked == [{"party": "number|+86137****7000", "ended": "true"}]
        for one in accesses:
            assert all(hidden(text) == text for text in strings(orjson.loads(encode(one))) if "****" not in text)


async def _everything(client: ApiClient, by: str) -> dict[str, Answer]:
    """What the API answers whoever asks for all that there is, and tries to act on all of it."""
    party = {"party": "number|+8613700137000", "ended": "true"}
    answers = {
        "GET /v1/cases?": await client.get("/v1/cases", by=by),
        "GET /v1/cases?party": await client.get("/v1/cases", by=by, **party),
    }
    for name, (procedure, _) in CASES.items():
        answers[f"GET /v1/cases/{name}"] = await client.get(f"/v1/cases/{name}", by=by)
        if by == "sender":  # who only reads may post nothing, whatever it is about
            for act in ACTS[procedure]:
                answers[f"POST {act.name} {name}"] = await client.act(name, act.name, by=by)
            answers[f"POST appeal {name}"] = await client.post("/v1/appeals", {"against": name}, by=by)
    return answers


def _written(name: str, procedure: str, case: Case) -> tuple[str, int, bytes, bytes]:
    entry = store.Entry(procedure, msgspec.Raw(encode(msgspec.structs.replace(case, case=name, step=1))), NOW)
    view = store.view_of(name, entry)
    assert view is not None
    return topics.CASES, partition_of(name, PARTITIONS), name.encode(), encode(view)
