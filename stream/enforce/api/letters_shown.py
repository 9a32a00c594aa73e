"""What a case told somebody, as a letter, for whoever may see it. Pure."""

from typing import Final

import msgspec

from stream.enforce.api.auth import SCOPED, Caller
from stream.enforce.api.responses import Problem, Refusal
from stream.enforce.api.shown import masked_text
from stream.letters import Templates, written
from stream.model.cases import CaseView
from stream.model.control import Notice
from stream.model.fields import Name, Time


class LetterQuery(msgspec.Struct, frozen=True):
    """Which letter: of this notice, else of the last one."""

    notice: str | None = None


class LetterShown(msgspec.Struct, frozen=True):
    """A letter. `others`: the case's other notices, the last on each subject."""

    notice: Name
    to: Name
    time: Time
    text: str
    others: tuple[Name, ...] = ()


_NONE: Final = "this case has told nobody anything that you may see, or nothing under that id"


def letter_of(view: CaseView, query: LetterQuery, caller: Caller, templates: Templates) -> LetterShown:
    """The letter, with numbers masked for who only reads. Raises `Problem` 404 where there is none."""
    known = [one for one in view.notices if _concerns(one, caller)]
    found = next((one for one in reversed(known) if query.notice in (None, one.notice)), None)
    if found is None:
        raise Problem(404, Refusal("not-found", _NONE))
    masked = caller.role == "read-only"
    return LetterShown(
        found.notice,
        masked_text(found.to) if masked else found.to,
        found.time,
        written(found, templates, masked=masked),
        tuple(one.notice for one in known if one is not found),
    )


def _concerns(notice: Notice, caller: Caller) -> bool:
    """Who acts for somebody sees what its case told that one."""
    if caller.role not in SCOPED:
        return True
    kind = notice.to.partition("|")[0]
    if kind in ("sender", "number"):
        return notice.to in caller.owners
    return (kind == "campaign") == (caller.role == "sender")
