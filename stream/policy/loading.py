"""From a policy file to a checked policy: `load`.

A policy that contradicts itself is refused here, before it can decide anything, with a message that names
file, line and mend. `cn-2020.toml` and `opt-out.toml` are shipped; the first is the default.
"""

import io
import re
from importlib.resources import files
from pathlib import Path
from typing import Final, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bloom.signatures import Keys, SignatureError
from stream.model.schema_fault import schema_fault
from stream.policy.numbering import USUAL
from stream.policy.patterns import LinearPattern, PatternError, compile_linear
from stream.policy.replies import OWNER, Replies, ReplyRule
from stream.policy.rules import answers_needed
from stream.policy.settings import Policy, PolicyFile, ProtocolAnswer
from stream.policy.text import fold, strip
from stream.policy.toml import PolicyError, line_of, parse

DEFAULT = "cn-2020"
SHIPPED = ("cn-2020", "opt-out")

_REDRESS: Final = re.compile(r"[0-9]{3,15}")
_MVNO: Final = re.compile(r"\+[1-9][0-9]{0,14}")
_LENGTHS: Final = range(1, 21)
_LETTERS: Final = tuple(plus + letter * length for letter in "ax" for length in _LENGTHS for plus in ("", "+"))
_DIGITS: Final = tuple(plus + digit * length for digit in "0123456789" for length in _LENGTHS for plus in ("", "+"))
"""Texts of one letter or of one digit, with a plus and without: no pattern of numbers matches some of both."""


def load(path: Path | str | None = None, keys: Keys | None = None) -> Policy:
    """The policy of a file, which with keys must be signed, or a shipped one by name (default `cn-2020`).

    Raises `PolicyError` that names file, line and mend.
    """
    if path is None or str(path) in SHIPPED:
        name = f"{path or DEFAULT}.toml"
        source, text = name, files(__package__).joinpath(name).read_text(encoding="utf-8")
    else:
        source = str(path)
        try:
            data = Path(path).read_bytes()
            if keys is not None:
                keys.verify(Path(path), data)
            text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()  # with its line ends as one
        except SignatureError as error:
            raise PolicyError(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{source}: {error}; give a TOML file or one of {', '.join(SHIPPED)}") from error
    return read(text, source=source)


def read(text: str, *, source: str) -> Policy:
    """The policy that a text states. Raises `PolicyError`."""
    tables = parse(text, source=source)
    try:
        file = msgspec.convert(tables, PolicyFile)
    except msgspec.ValidationError as error:
        fault = schema_fault(error, PolicyFile)
        where = f"$.{fault.path}".replace("answers[...]", _wrong_answer(tables)) if fault.path else "the top"
        raise PolicyError(f"{source}:{line_of(text, where)}: {fault.what} (at `{where}`)") from error
    _Check(file, source, text).whole()
    try:
        return Policy(file, text=text)
    except PatternError as error:
        raise PolicyError(f"{source}: {error}") from error


def _wrong_answer(tables: dict[str, object]) -> str:
    """The path of the first answer that is none: the schema's error leaves its reason out."""
    answers = tables.get("answers")
    for reason, answer in answers.items() if isinstance(answers, dict) else ():
        try:
            msgspec.convert(answer, ProtocolAnswer)
        except msgspec.ValidationError:
            return f"answers.{reason}"
    return "answers"


class _Check:
    """What a schema cannot say: that patterns compile, names are known, and nothing means two things."""

    def __init__(self, file: PolicyFile, source: str, text: str) -> None:
        self._file = file
        self._source = source
        self._text = text

    def whole(self) -> None:
        self._patterns()
        self._numbers()
        self._hours()
        self._replies()
        self._answers()

    def _refuse(self, where: str, why: str) -> NoReturn:
        raise PolicyError(f"{self._source}:{line_of(self._text, where)}: {why} (at `{where}`)")

    def _patterns(self) -> None:
        texts = self._file.texts
        for name in USUAL.keys() - {"country"}:
            where, pattern = f"$.numbers.{name}", getattr(self._file.numbers, name)
            if pattern.startswith("(?"):
                # They are compiled into one; a flag would speak for all of them.
                self._refuse(where, "begins with `(?`, which is no plain pattern of a number: write groups as `(…)`")
            compiled = self._pattern(where, pattern)
            if any(map(compiled.fullmatch, _LETTERS)) and any(map(compiled.fullmatch, _DIGITS)):
                self._refuse(
                    where,
                    "the pattern matches letters and digits alike, and so nearly everything: "
                    "write which digits a number has, as in `1[0-9]{4}`",
                )
        self._pattern("$.texts.opt_out", texts.opt_out)
        if texts.link:
            self._pattern("$.texts.link", texts.link)

    def _pattern(self, where: str, pattern: str) -> LinearPattern:
        try:
            compiled = compile_linear(pattern)
        except PatternError as error:
            self._refuse(where, str(error))
        if "(?P<" in pattern or "(?<" in pattern:
            self._refuse(where, "no named groups here, which nobody asks for; make the group `(…)`")
        if compiled.fullmatch(""):
            self._refuse(where, "the pattern matches an empty text, and so would match everything")
        return compiled

    def _numbers(self) -> None:
        for number in self._file.numbers.redress:
            if _REDRESS.fullmatch(number) is None:
                self._refuse("$.numbers.redress", f"{number!r} is no number for complaints: write its 3 to 15 digits")
        for prefix in self._file.numbers.mvno:
            if _MVNO.fullmatch(prefix) is None:
                self._refuse(
                    "$.numbers.mvno", f"{prefix!r} is no beginning of numbers: write a plus and digits, as `+86170`"
                )

    def _hours(self) -> None:
        for place, window in enumerate(self._file.hours):
            where = f"$.hours[{place}]"
            for category in window.categories:
                if category not in self._file.categories:
                    self._refuse(f"{where}.categories", f"unknown category {category!r}: add it to `categories`")
            if window.from_ == window.to:
                self._refuse(f"{where}.to", f"hours that never open: they begin and end at {window.to}")
            try:
                ZoneInfo(window.zone)
            except (ZoneInfoNotFoundError, ValueError):
                self._refuse(f"{where}.zone", f"unknown time zone {window.zone!r}: use a name such as Asia/Shanghai")

    def _replies(self) -> None:
        self._reply_words()
        rules = self._file.replies
        for place, rule in enumerate(rules):
            where = f"$.replies[{place}]"
            if rule.scope == OWNER and rule.to != OWNER:
                self._refuse(f"{where}.scope", 'scope "owner" needs to = "owner": listed numbers may have no owner')
            if OWNER in rule.to and rule.to != OWNER:
                self._refuse(f"{where}.to", 'write to = "owner" without brackets: it is no number')
        try:
            table = Replies(self._file.reply_text, rules)
        except PatternError as error:
            self._refuse("$.replies", str(error))
        for place, rule in enumerate(rules):
            for text in (*rule.texts, *rule.contains):
                for other, means in enumerate(rules):
                    if other != place and _meet(rule, means) and means in table.meanings(text):
                        earlier, later = sorted((place, other))
                        why = f"the reply {strip(fold(text))!r} means two things: see also replies[{earlier}]"
                        self._refuse(f"$.replies[{later}].texts", why)

    def _reply_words(self) -> None:
        """Words of which nothing is left, folded or stripped, would be found in every reply."""
        reading = self._file.reply_text
        for name in ("undoes", "before", "after"):
            self._none_blank(f"$.reply_text.{name}", [strip(fold(word)) for word in getattr(reading, name)])
        for name in ("quoted_lines", "ends", "ending_lines", "passed_on", "no_refusal", "insists"):
            self._none_blank(f"$.reply_text.{name}", [fold(word).strip() for word in getattr(reading, name)])
        for marks in reading.quotation_marks:
            if len(fold(marks)) != 2:
                self._refuse(
                    "$.reply_text.quotation_marks", f"{marks!r} is no pair of marks: write opening and closing one"
                )
        for place, rule in enumerate(self._file.replies):
            for name in ("texts", "contains"):
                self._none_blank(f"$.replies[{place}].{name}", [strip(fold(word)) for word in getattr(rule, name)])

    def _none_blank(self, where: str, words: list[str]) -> None:
        if not all(words):
            self._refuse(where, "a blank text, which nobody means by it: take it out")

    def _answers(self) -> None:
        needed = answers_needed()
        for reason in self._file.answers:
            if reason not in needed:
                self._refuse(f"$.answers.{reason}", f"no rule blocks for {reason!r}: correct its spelling")
        for reason, channels in needed.items():
            answer = self._file.answers.get(reason)
            for channel in channels:
                if answer is None or not answer.on(channel):
                    self._refuse("$.answers", f"no answer for {reason!r} on {channel}: add it under [answers.{reason}]")


def _meet(one: ReplyRule, other: ReplyRule) -> bool:
    """Whether two rules may be asked about a reply to one number: any number may have an owner."""
    return OWNER in (one.to, other.to) or not set(one.to).isdisjoint(other.to)
