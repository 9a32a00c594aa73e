"""The bad-actor list as it is asked for."""

import msgspec
import pytest

from stream.enforce.api import listings
from stream.enforce.api.auth import Caller
from stream.enforce.api.responses import Problem
from stream.model.control import Listing, Party
from stream.policy.loading import load

ENTRIES = [
    Listing(f"B-L-{n}", Party(sender=f"ORG-{n % 2}"), from_=n, until=n + 10, punishment=f"{n}", document="2026-78")
    for n in range(9, -1, -1)
]
DESK = Caller("desk", "desk:17")


def asked(now: int = 10, **stated: str) -> tuple[list[str], str | None]:
    found = listings.page(ENTRIES, stated, caller=DESK, now=now, numbering=load(None).numbering)
    return [one.listing for one in found.listings], found.after


def test_an_entry_is_in_force_from_its_beginning_to_before_its_end() -> None:
    assert asked(now=0)[0] == ["B-L-0"]
    assert asked(now=10)[0] == [f"B-L-{n}" for n in range(1, 10)]
    assert asked(now=30) == ([], None)
    assert len(asked(now=30, ended="true")[0]) == 10


def test_pages_follow_one_another_and_a_party_has_its_own() -> None:
    first, after = asked(now=30, ended="true", limit="6")
    assert after is not None
    rest, end = asked(now=30, ended="true", limit="6", after=after)
    assert (first + rest, end) == ([f"B-L-{n}" for n in range(10)], None)
    assert asked(now=9, party="sender|ORG-1")[0] == [f"B-L-{n}" for n in (1, 3, 5, 7, 9)]
    with pytest.raises(Problem) as refused:
        asked(limit="0", since="1")
    assert {fault.field for fault in refused.value.refusal.faults} == {"limit", "since"}


def test_who_is_shown_numbers_masked_asks_for_none() -> None:
    auditor, numbering = Caller("read-only", "auditor:1"), load(None).numbering
    listed = msgspec.structs.replace(ENTRIES[0], party=Party(number="+8613800138000"))
    for entries in ([listed], []):
        with pytest.raises(Problem) as refused:
            listings.page(entries, {"party": "number|+8613800138000"}, caller=auditor, now=9, numbering=numbering)
        assert refused.value.status == 403, "whether it is listed or not"
