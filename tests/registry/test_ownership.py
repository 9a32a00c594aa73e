"""Who owns a number: the longest prefix, then the later `since`, then the later record."""

from hypothesis import given
from hypothesis import strategies as st

from stream.model.registry import NumberEntry, Sender
from stream.registry.ownership import Ownership


def _sender(name: str, *entries: NumberEntry) -> Sender:
    return Sender(sender=name, name=name, contact="95588", status="active", numbers=entries)


def _entry(prefix: str, since: int = 0, *, channel: str = "sms", purpose: str = "service") -> NumberEntry:
    return NumberEntry(prefix=prefix, channel=channel, purposes=(purpose,), since=since)  # type: ignore[arg-type]


def _owner(ownership: Ownership, number: str) -> str | None:
    holding = ownership.owner(number)
    return holding.sender if holding else None


def test_the_longest_prefix_owns() -> None:
    ownership = Ownership("sms")
    ownership.put(_sender("wide", _entry("1069")), came=2)
    ownership.put(_sender("narrow", _entry("106901")), came=1)
    assert _owner(ownership, "10690123") == "narrow"
    assert _owner(ownership, "10699999") == "wide"
    assert _owner(ownership, "106") is None


def test_of_equal_prefixes_the_later_since_owns_whatever_came_last() -> None:
    ownership = Ownership("sms")
    ownership.put(_sender("later", _entry("1069", since=9)), came=1)
    ownership.put(_sender("earlier", _entry("1069", since=3)), came=2)
    assert _owner(ownership, "1069") == "later"
    assert ownership.clashes == 1


def test_of_equal_since_the_record_that_came_later_owns() -> None:
    ownership = Ownership("sms")
    ownership.put(_sender("first", _entry("1069")), came=1)
    ownership.put(_sender("second", _entry("1069")), came=2)
    assert _owner(ownership, "1069") == "second"
    ownership.put(_sender("first", _entry("1069")), came=3)
    assert _owner(ownership, "1069") == "first"


def test_of_two_entries_with_one_prefix_the_later_in_the_list_counts() -> None:
    ownership = Ownership("sms")
    ownership.put(_sender("s", _entry("1069", purpose="service"), _entry("1069", purpose="commercial")), came=1)
    holding = ownership.owner("1069")
    assert holding is not None
    assert holding.entry.purposes == ("commercial",)


def test_a_prefix_given_up_goes_to_whoever_holds_it_still() -> None:
    ownership = Ownership("sms")
    ownership.put(_sender("old", _entry("1069")), came=1)
    ownership.put(_sender("new", _entry("1069", since=5)), came=2)
    ownership.drop("new")
    assert _owner(ownership, "1069") == "old"
    ownership.drop("old")
    assert _owner(ownership, "1069") is None


def test_channels_do_not_mix() -> None:
    ownership = Ownership("call")
    ownership.put(_sender("s", _entry("1069", channel="sms")), came=1)
    assert ownership.owner("1069") is None


_PREFIXES = st.text("12", min_size=1, max_size=4)
_CHANGES = st.lists(
    st.tuples(st.sampled_from("abc"), st.lists(st.tuples(_PREFIXES, st.integers(0, 2)), max_size=3)), max_size=12
)


@given(_CHANGES, st.text("12", max_size=6))
def test_it_agrees_with_a_search_through_all_that_is_registered(
    changes: list[tuple[str, list[tuple[str, int]]]], number: str
) -> None:
    ownership = Ownership("sms")
    standing: dict[str, tuple[int, list[tuple[str, int]]]] = {}
    for came, (sender, entries) in enumerate(changes):
        if entries:
            ownership.put(_sender(sender, *(_entry(prefix, since) for prefix, since in entries)), came=came)
            standing[sender] = (came, entries)
        else:
            ownership.drop(sender)
            standing.pop(sender, None)
    claims = [
        (len(prefix), since, came, sender)
        for sender, (came, entries) in standing.items()
        for prefix, since in entries
        if number.startswith(prefix)
    ]
    assert _owner(ownership, number) == (max(claims)[3] if claims else None)


def _near(ownership: Ownership, prefix: str) -> list[tuple[str, str]]:
    return [(holding.sender, holding.entry.prefix) for holding in ownership.near(prefix)]


def test_what_is_near_a_prefix_is_what_equals_it_lies_inside_or_around() -> None:
    ownership = Ownership("sms")
    ownership.put(_sender("wide", _entry("1069"), _entry("1068")), came=1)
    ownership.put(_sender("same", _entry("106901")), came=2)
    assert _near(ownership, "106901") == [("wide", "1069"), ("same", "106901")]
    ownership.put(_sender("narrow", _entry("10690123"), _entry("10690200")), came=3)
    assert _near(ownership, "106901") == [("wide", "1069"), ("same", "106901"), ("narrow", "10690123")]
    ownership.drop("same")
    assert _near(ownership, "106901") == [("wide", "1069"), ("narrow", "10690123")]
    assert _near(ownership, "2") == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.text("12", min_size=1, max_size=4), max_size=3))))
def test_what_is_near_is_what_a_look_at_everything_finds(puts: list[tuple[str, list[str]]]) -> None:
    ownership = Ownership("sms")
    held: dict[str, set[str]] = {}
    for came, (name, prefixes) in enumerate(puts):
        _near(ownership, "1")
        ownership.put(_sender(name, *map(_entry, prefixes)), came=came)
        held[name] = set(prefixes)
    for prefix in ("1", "12", "121", "2222"):
        overlapping = sorted(
            (name, one)
            for name, prefixes in held.items()
            for one in prefixes
            if one.startswith(prefix) or prefix.startswith(one)
        )
        assert sorted(_near(ownership, prefix)) == overlapping
