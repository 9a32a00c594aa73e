"""The limit of a subscriber's scopes, for those that wait for no reading of the topic: pure."""

import tracemalloc

from stream.enforce.api.scopes_written import ScopesWritten
from stream.model.registry import Expression


def refuse(sender: str | None, *, number: int = 0, category: str | None = None) -> Expression:
    return Expression(f"+86138{number:08}", "sms", "refuse", 1, "app", sender=sender, category=category)


def test_beyond_its_limit_a_subscriber_refuses_something_broader() -> None:
    scopes = ScopesWritten(most=3)
    assert [scopes.refusal(refuse(f"ORG-{n}")) for n in range(3)] == [None] * 3
    assert "broader" in (scopes.refusal(refuse("ORG-3")) or "")
    assert scopes.refusal(refuse("ORG-2")) is None, "it has that one"
    assert scopes.refusal(refuse("*", category="*")) is None
    assert scopes.refusal(refuse(None)) is None, "a refusal of everything is written always"
    assert scopes.refusal(refuse("ORG-3", number=1)) is None, "another subscriber"


def test_what_is_remembered_is_bounded() -> None:
    scopes = ScopesWritten(most=3, kept_max=10)
    for number in range(1_000):
        assert scopes.refusal(refuse("ORG-1", number=number)) is None
        assert scopes.refusal(refuse("ORG-2", number=number)) is None
        assert scopes.refusal(refuse(None, number=1_000 + number)) is None, "one of everything needs no count"
    assert len(scopes._kept) <= 10
    assert sum(map(len, scopes._kept.values())) == scopes._count <= 10


def test_long_names_are_not_remembered() -> None:
    written = ScopesWritten()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(500):
            long = f"{n:03}" + "\U0001f600" * 253
            assert written.refusal(Expression("+8613800138000", "sms", "refuse", 1, "app", long, long)) is None
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 500 < 300
