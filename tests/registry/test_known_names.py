"""Names that an expression gives and nobody knows."""

from stream.model.registry import Expression
from stream.registry.known_names import KnownNames
from tests.work import instructions

CATEGORIES = ("finance", "retail")


def _consent(sender: str, category: str) -> Expression:
    return Expression("+8613800138000", "sms", "consent", 1, "web-form", sender, category)


def test_what_is_not_known_is_named_with_what_is_like_it() -> None:
    known = KnownNames(CATEGORIES, {"ORG-1042"})
    assert known.problems(_consent("ORG-1042", "finance")) == ()
    assert known.problems(_consent("ORG-NOWHERE", "nonsense")) == (
        "category 'nonsense' is none of the policy's",
        "sender 'ORG-NOWHERE' is not registered",
    )
    assert known.problems(_consent("org-1024", "Finanz")) == (
        "category 'Finanz' is none of the policy's (did you mean finance?)",
        "sender 'org-1024' is not registered (did you mean ORG-1042?)",
    )
    anything = Expression("+8613800138000", "sms", "refuse", 1, "letters", "*", None)
    assert known.problems(anything) == ()


def test_senders_are_not_looked_at_where_none_is_known() -> None:
    assert KnownNames(CATEGORIES, None).problems(_consent("S", "retail")) == ()
    assert KnownNames(CATEGORIES, ()).problems(_consent("S", "retail")) == ("sender 'S' is not registered",)
    assert KnownNames(CATEGORIES, None, lambda: {"T"}).problems(_consent("S", "retail")) != ()


def test_senders_that_come_along_are_asked_for_once_and_where_one_is_missing() -> None:
    asked = []

    def along() -> set[str]:
        asked.append(1)
        return {"NEW"}

    known = KnownNames(CATEGORIES, {"OLD"}, along)
    assert known.problems(_consent("OLD", "retail")) == ()
    assert not asked
    assert known.problems(_consent("NEW", "retail")) == ()
    assert known.problems(_consent("NEWER", "retail")) == ("sender 'NEWER' is not registered (did you mean NEW?)",)
    assert len(asked) == 1


def test_a_name_that_is_like_many_is_compared_with_few() -> None:
    def work(senders: int) -> int:
        known = KnownNames(CATEGORIES, frozenset(f"ORG-{n:05}" for n in range(senders)))
        known.problems(_consent("ORG-X", "retail"))  # sorts them, once for all who ask
        return instructions(lambda: told.extend(known.problems(_consent("ORG-1234X", "retail"))))

    told: list[str] = []
    assert work(20_000) < 5 * work(1_000)
    assert "did you mean ORG-12" in told[0]
    assert KnownNames(CATEGORIES, {"A" * 256}).problems(_consent("a" * 255, "retail"))[0].endswith(f"{'A' * 256}?)")
