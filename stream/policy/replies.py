"""What the author of a reply means (DESIGN section 5): the policy's reply table, as people write to it.

A reply is folded, freed from what is not its author's own (quoted lines, the device's line, a message passed on) and
from what only sounds like a refusal, and stripped; what is left is compared with the words of each rule. Promises to
be total, and linear in the text: people forward whole messages, and worse. Must never read a reply's text for
anything else.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec

from stream.model.fields import Channel, Name
from stream.policy.patterns import LinearPattern, compile_linear
from stream.policy.text import fold, strip
from stream.policy.toml import PolicySection

OWNER: Final = "owner"

REMEMBERED_MAX: Final = 4_096
REMEMBERED_CHARACTERS_MAX: Final = 64
"""Replies whose meaning is remembered: most are one of a few words. Longer ones are read again each time."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_LETTER_OR_NUMBER: Final = re.compile(r"[^\W_]")

Phrases = tuple[Name, ...]


class ReplyText(PolicySection, frozen=True):
    """How a reply is read before its words are compared. All is folded, the text and what it is searched for."""

    quoted_lines: Phrases
    """lines that begin so go: somebody else wrote them"""
    ends: Phrases
    """the reply ends before the first of these that has a letter or number before it: the device's own line"""
    ending_lines: Phrases
    """... and before a line that begins so, below the first line with a letter or number"""
    passed_on: Phrases
    """from the first of these on all goes: a message quoted or passed on"""
    quotation_marks: tuple[Annotated[str, msgspec.Meta(min_length=2, max_length=2)], ...]
    """what stands between two such goes, where a letter or number stands outside of all"""
    no_refusal: Phrases
    """these go, for they only sound like a refusal ..."""
    insists: Phrases
    """... unless one of these stands there"""
    undoes: Phrases
    """with one of these, and none of `insists`, it is no refusal"""
    before: Phrases
    """words that may stand before those of a rule, any number of them"""
    after: Phrases
    """words that may follow"""
    basis: Name


class ReplyRule(PolicySection, frozen=True):
    """Texts that mean a will when sent to these numbers: `owner` is any number with an owner on sms."""

    texts: Annotated[Phrases, msgspec.Meta(min_length=1)]
    to: Literal["owner"] | Phrases
    channel: Channel
    scope: Literal["owner", "everything"]
    will: Literal["refuse", "lift"]
    basis: Name
    repeated: bool = False
    """whether several texts may follow each other, as in `TD退订`"""
    contains: Phrases = ()
    """texts that mean the same wherever they stand"""


class Replies:
    """The reply table, compiled."""

    def __init__(self, reading: ReplyText, rules: Sequence[ReplyRule]) -> None:
        self.rules = tuple(rules)
        self._quoted_lines = _folded(reading.quoted_lines)
        self._ends = _folded(reading.ends)
        self._ending_lines = _folded(reading.ending_lines)
        self._passed_on = _folded(reading.passed_on)
        self._closing = {marks[0]: marks[1] for marks in _folded(reading.quotation_marks)}
        self._opening = _any_of(tuple(self._closing))
        self._no_refusal = _any_of(_folded(reading.no_refusal))
        self._insists = _folded(reading.insists)
        self._undoes = _stripped(reading.undoes)
        self._rules: LinearPattern = compile_linear(*(_pattern(rule, reading) for rule in rules))
        self._known: dict[str, tuple[ReplyRule, ...]] = {}

    def rule(self, to: str, text: str, *, owned: bool) -> ReplyRule | None:
        """The rule that has this reply to this number (as read), if any; `owned`: the number has an owner on sms.

        A rule for the number itself goes before those for all that have an owner.
        """
        for_owners: ReplyRule | None = None
        for rule in self.meanings(text):
            if rule.to == OWNER:
                for_owners = for_owners or rule
            elif to in rule.to:
                return rule
        return for_owners if owned else None

    def listed(self, to: str) -> bool:
        """Whether the table names this number: a service number of the carrier."""
        return any(rule.to != OWNER and to in rule.to for rule in self.rules)

    def meanings(self, text: str) -> tuple[ReplyRule, ...]:
        """The rules whose words a reply holds, in the order of the table. Some 15 µs where it is not remembered."""
        known = self._known.get(text)
        if known is not None:
            return known
        meant = self.meant(text)
        undone = _holds(meant, self._undoes) and not _holds(meant, self._insists)
        places = self._rules.all(meant)
        found = tuple(self.rules[place] for place in places if not (undone and self.rules[place].will == "refuse"))
        if len(text) <= REMEMBERED_CHARACTERS_MAX:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[text] = found
        return found

    def meant(self, text: str) -> str:
        """What a reply's author says in it, stripped."""
        own = "\n".join(
            line for line in _LINE_END.split(fold(text)) if not line.lstrip().startswith(self._quoted_lines)
        )
        own = own[: self._end(own)]
        own = self._outside_quotations(own)
        if not _holds(own, self._insists):
            own = self._no_refusal.sub("", own)
        return strip(own)

    def _end(self, text: str) -> int:
        """Where the author's own text ends."""
        passed_on = (text.find(mark) for mark in self._passed_on)
        ends = [len(text), *(place for place in passed_on if place >= 0)]
        begins = _LETTER_OR_NUMBER.search(text)
        if begins is not None:
            found = (text.find(phrase, begins.end()) for phrase in self._ends)
            ends += [place for place in found if place >= 0]
            ends += [place for place, line in _lines_below(text, begins.start()) if line.startswith(self._ending_lines)]
        return min(ends)

    def _outside_quotations(self, text: str) -> str:
        """A text without its quotations, unless they are all that it says."""
        outside: list[str] = []
        begin = at = 0
        never: set[str] = set()
        """marks that nothing closes any more: to look for that again at each would take the square of their number"""
        while (mark := self._opening.search(text, at)) is not None:
            at = mark.end()
            close = -1 if mark[0] in never else text.find(self._closing[mark[0]], at)
            if close < 0:
                never.add(mark[0])
                continue
            outside.append(text[begin : mark.start()])
            begin = at = close + 1
        outside.append(text[begin:])
        rest = "".join(outside)
        return rest if _LETTER_OR_NUMBER.search(rest) else text


def _lines_below(text: str, place: int) -> Iterator[tuple[int, str]]:
    """The lines below the one that this place is in: where each begins, and what it holds without leading blanks."""
    begin = text.find("\n", place) + 1
    if not begin:
        return
    for line in text[begin:].split("\n"):
        yield begin, line.lstrip()
        begin += len(line) + 1


def _pattern(rule: ReplyRule, reading: ReplyText) -> str:
    before, texts, after = (_either(_stripped(words)) for words in (reading.before, rule.texts, reading.after))
    whole = f"{before}*{texts}{'+' if rule.repeated else ''}{after}*"
    return f"{whole}|.*{_either(_stripped(rule.contains))}.*" if rule.contains else whole


def _either(words: tuple[str, ...]) -> str:
    return f"({'|'.join(words)})"  # letters and numbers alone: nothing to escape


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Any of these texts; of two that begin alike, the longer."""
    # Nothing is repeated, so it is linear. Where there are no words, it matches nowhere.
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)")


def _folded(words: Phrases) -> tuple[str, ...]:
    return tuple(map(fold, words))


def _stripped(words: Phrases) -> tuple[str, ...]:
    return tuple(strip(fold(word)) for word in words)


def _holds(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
