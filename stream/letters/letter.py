"""A notice as a letter."""

from typing import Final

from stream.letters import wording
from stream.letters.template import Kind, Templates, filled
from stream.letters.wording import one_line
from stream.model.control import Notice
from stream.model.hiding import hidden

_DECISIONS: Final[dict[str | None, Kind]] = {
    "disputes": "decision-dispute",
    "public-interest": "decision-campaign",
    "emergency": "decision-campaign",
}
"""Letters of decisions, by their basis; all others are of appeals."""
_ADDRESSED: Final = {
    "sender": ("你方", "{}"),
    "number": ("你方", "号码{}"),
    "subscriber": ("您", "用户{}"),
    "complaint": ("您", "投诉人（投诉编号{}）"),
    "campaign": ("你单位", "申请单位（案号{}）"),
}
"""By the kind of addressee: how it is addressed, and how its id is written."""

_OF_MEASURES: Final[tuple[Kind, ...]] = ("measure", "measure-ended")


def kind_of(notice: Notice) -> Kind:
    """Which letter a notice makes."""
    return _DECISIONS.get(notice.basis, "decision-appeal") if notice.subject == "decision" else notice.subject


def written(notice: Notice, templates: Templates, *, masked: bool = False) -> str:
    """The letter. `masked`: for who sees no numbers.

    What people wrote to anybody but a user may name one: numbers in it are stars.
    """
    kind = kind_of(notice)
    to, _, name = notice.to.partition("|")
    you, named = _ADDRESSED.get(to, ("你方", "{}"))
    text = str if to in ("subscriber", "complaint") else hidden
    is_measure = notice.subject == "measure"
    incident = _incident(notice) if is_measure else ""
    values = {
        "addressee": notice.addressee or named.replace("{}", name),
        "you": you,
        "notice": notice.notice,
        "case": notice.case,
        "date": wording.day(notice.time),
        "regulation": wording.REGULATION,
        "article": _article(notice, kind),
        "incident": incident,
        "reason": "" if incident else text(wording.sentence(notice.reason)),
        "measure": wording.MEASURES[notice.measure] if notice.measure else "",
        "channel": wording.CHANNELS[notice.channel] if notice.channel or kind in _OF_MEASURES else "",
        "outcome": wording.OUTCOMES[notice.outcome] if notice.outcome else "",
        "effect": _effect(notice) if is_measure else "",
        "duration": _duration(notice) if is_measure else "",
        "at": wording.minute(notice.at) if notice.at is not None else "",
        "number": notice.number or "",
        "evidence": "、".join(one if kind == "listing" else text(one) for one in notice.evidence),
        "figures": "；".join(wording.figure(one) for one in notice.figures),
        "appeal": wording.address(notice.appeal) if notice.appeal else "",
        "issuer": templates.issuer or "",
    }
    values = {placeholder: one_line(value) for placeholder, value in values.items()}
    whole = filled(templates.texts[kind], {**values, "missing": _missing(notice, of_filing=to == "campaign")})
    return "\n".join(hidden(line) for line in whole.split("\n")) if masked else whole


def _article(notice: Notice, kind: Kind) -> str:
    if kind in _OF_MEASURES:
        return wording.MEASURE_ARTICLES.get(notice.basis or "", wording.MEASURE_ARTICLE)
    return wording.ARTICLES.get(notice.basis or "", "")


def _incident(notice: Notice) -> str:
    """What was found, and when; nothing where the reason is in a person's words."""
    found = next((says for grounds, says in wording.GROUNDS.items() if grounds == notice.reason), "")
    return f"{wording.day(notice.at)}，{found}" if found and notice.at is not None else found


def _effect(notice: Notice) -> str:
    if notice.grace_ms is None:
        return f"自{wording.day(notice.time)}起执行"
    if notice.grace_ms == 0:
        return "自你方收到本告知书之时起执行"
    return f"自你方收到本告知书之时起满{wording.length(notice.grace_ms)}执行"


def _duration(notice: Notice) -> str:
    if notice.until is not None:
        return f"至{wording.minute(notice.until)}止"
    return wording.length(notice.lasts_ms) if notice.lasts_ms is not None else "至依法解除之日止"


def _missing(notice: Notice, *, of_filing: bool) -> str:
    lines = (one_line(wording.asked(one, of_filing=of_filing)) for one in notice.missing)
    return "".join(f"\n    {number}.{line}。" for number, line in enumerate(lines, start=1))
