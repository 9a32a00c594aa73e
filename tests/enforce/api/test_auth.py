"""Tokens and how far they reach: pure."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import ConfigError
from stream.enforce.api import auth
from stream.enforce.api.auth import Caller, Jurisdiction
from stream.enforce.procedures.outlines import OUTLINES
from tests.enforce.api.harness import token_of, write_tokens

DIGEST = "a" * 64


def test_a_token_is_its_holders_and_anything_else_is_nobodys(tmp_path: Path) -> None:
    path = write_tokens(tmp_path / "tokens")
    tokens = auth.read(path.read_text(encoding="utf-8"), path)
    assert tokens.caller(token_of("sender")) == Caller("sender", "org-9", ("ORG-9",))
    assert tokens.caller(token_of("agent")) == Caller("subscriber-agent", "agent:5", ("+86138", "+8617012345678"))
    assert tokens.caller(token_of("regulator")) == Caller(
        "regulator", "regulator:3", jurisdiction=Jurisdiction("province", "110000")
    )
    assert tokens.caller(token_of("body")) == Caller(
        "sender", "gov-7", ("GOV-110000-HEALTH",), Jurisdiction("province", "110000")
    )
    for wrong in ("", "token-of-senders", token_of("sender").upper(), "\ud800"):
        assert tokens.caller(wrong) is None


class Compared(str):
    """A known digest that counts how often it is compared."""

    __slots__ = ()
    looks = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Compared.looks += 1
        return str.__eq__(self, other)


def test_a_token_costs_one_look_up_however_many_there_are() -> None:
    """One look at 480,000 lines took 46 ms, for whoever asked without a token too."""
    digests = [hashlib.sha256(token_of(str(n)).encode()).hexdigest() for n in range(2_000)]
    tokens = auth.Tokens({Compared(digest): Caller("desk", f"desk:{n}") for n, digest in enumerate(digests)})
    Compared.looks = 0
    assert tokens.caller("unknown") is None
    assert tokens.caller(token_of("1999")) == Caller("desk", "desk:1999")
    assert Compared.looks <= 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{DIGEST} desk", "2 words"),
        (f"{DIGEST} desk desk:17 scope more than", "6 words"),
        (f"{DIGEST} regulator regulator:3", "needs its jurisdiction"),
        (f"{DIGEST} regulator regulator:3 province", "no such jurisdiction"),
        (f"{DIGEST} regulator regulator:3 province:990000", "no such jurisdiction"),
        (f"{DIGEST} regulator regulator:3 national:110000", "is of level province"),
        (f"{DIGEST} regulator regulator:3 city-with-districts:130100", "national, province"),
        (f"{DIGEST} sender gov GOV-1 county:130102", "a sender's level"),
        (f"{DIGEST} subscriber-agent agent +86138 national", "a jurisdiction for regulator and sender"),
        ("secret desk desk:17", "no SHA-256"),
        (f"{DIGEST.upper()} desk desk:17", "no SHA-256"),
        (f"{DIGEST} boss boss:1", "no such role"),
        (f"{DIGEST} sender org-9", "a scope is for"),
        (f"{DIGEST} desk desk:17 ORG-9", "a scope is for"),
        (f"{DIGEST} sender org-9 ORG-9,,ORG-1", "a scope is for"),
        (f"{DIGEST} subscriber-agent agent 138", "beginnings"),
        (f"{DIGEST} desk +8613800138000", "phone number"),
        (f"{DIGEST} desk desk:1\n{DIGEST} desk desk:2", "stands twice"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_never_shown(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        auth.read(f"# comment\n\n{line}\n", Path("tokens"))
    assert says in str(raised.value)
    assert str(raised.value).startswith(("tokens:3: ", "tokens:4: "))
    assert DIGEST not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("other", ["Desk:17", "desk\uff1a17", "desk:17\u200b", "\u2060desk:17"])
def test_one_person_is_written_alike_in_all_lines(other: str) -> None:
    path, lines = Path("tokens"), f"{DIGEST} desk desk:17\n{'b' * 64} centre desk:17\n{'c' * 64} desk"
    auth.read(f"{lines} desk:18\n", path)
    with pytest.raises(ConfigError, match=r"^tokens:3: the actor is that of line 1 but for case") as raised:
        auth.read(f"{lines} {other}\n", path)
    assert other not in str(raised.value)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.from_regex(r"\+[1-9][0-9]{0,9}", fullmatch=True))
def test_an_agent_speaks_for_the_numbers_that_begin_as_its_scope_does(number: str, start: str) -> None:
    agent = Caller("subscriber-agent", "agent", (start,))
    assert agent.acts_for_subscriber(number) == number.startswith(start)
    assert agent.sees(f"subscriber|{number}") == number.startswith(start)


@pytest.mark.parametrize("role", ["sender", "subscriber-agent"])
def test_who_acts_for_somebody_sees_no_case_of_anybody_else(role: auth.Role) -> None:
    caller = Caller(role, "someone", ("ORG-9",) if role == "sender" else ("+86138",))
    others = (None, "sender|ORG-1", "sender|+86138", "number|+8613800138000", "subscriber|+8613900139000", "ORG-9")
    assert not any(caller.sees(owner) for owner in others)


def test_a_party_that_is_a_number_has_no_agent() -> None:
    """A number accused of sending is a party, not the subscriber who complains: its case is the offices'."""
    assert not Caller("subscriber-agent", "agent", ("+86",)).sees("number|+8613800138000")
    assert not Caller("sender", "org-9", ("ORG-9",)).acts_for_sender(None)
    assert not Caller("subscriber-agent", "agent", ("+86",)).acts_for_subscriber(None)
    assert not Caller("read-only", "auditor").acts_for_sender("ORG-9")


def test_a_body_sees_the_cases_that_are_its_business_alone() -> None:
    centre, appeals = Caller("centre", "centre:2"), Caller("appeals-body", "appeals:1")
    assert [one.name for one in OUTLINES if centre.sees_procedure(one.name)] == ["complaint"]
    assert [one.name for one in OUTLINES if appeals.sees_procedure(one.name)] == ["complaint", "dispute"]
    assert all(Caller("desk", "desk:17").sees_procedure(one.name) for one in OUTLINES)
