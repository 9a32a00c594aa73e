"""`docs/procedures.md`: states, transitions and diagrams, from the tables that the procedures run."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from stream.enforce.api.permissions import ACTS, WORK
from stream.enforce.procedures import case_work
from stream.enforce.procedures.calendar_cn import YEAR_FIRST, YEAR_LAST
from stream.enforce.procedures.case_work import ASSIGNMENTS_MAX, ATTACHMENTS_MAX, NOTE_CHARACTERS_MAX, NOTES_MAX
from stream.enforce.procedures.clocks import Term
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.engine import Line, Outline
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import Settings
from stream.model.times import HOUR_MS
from stream.warning.rules.senders import RULES, WarningSettings

TARGET: Final = "docs/procedures.md"

CHINESE: Final[dict[ProcedureName, str]] = {
    "measure": "对违规者采取的措施",
    "complaint": "用户投诉",
    "appeal": "当事方申诉",
    "dispute": "用户申诉",
    "campaign": "公益性短信息申请",
    "prohibited-content": "禁止性内容",
    "regulator-order": "电信管理机构的处置要求",
    "listing": "不良名单、失信名单",
}
"""Procedure → what a regulator calls it."""

HEAD: Final = """\
# Procedures

Made by `docs/generate/procedures.py` from the tables in `stream/enforce`. Do not edit.

A case changes only by a row of its table; the first row that takes an event decides. What no row takes is answered
with `WrongState`, which names what would have been possible. A row without a target leaves the case where it is.
Entering a state marked *ended* clears every clock. Effects carry the key `case#step.place`: a step repeated after a
crash repeats its effects under their old keys.

People act by the role of their token: `centre` is 12321 (12321受理中心), `desk` the company (相关企业), `appeals-body`
the body to which users take disputes (申诉受理机构), `regulator` the telecom administration (电信管理机构),
`subscriber-agent` the user (用户), `sender` the party or public body. Each does what is its own; what a body
that does not log in has done the desk records, and must name that body's document. A decision takes two persons, told
apart by the `actor` of their tokens: the first one's act is kept as `proposed`, and the same act of another, with the
same fields, carries it out. What another proposes takes the place of what was proposed; any
other change of state ends it.

Which sentence of the law each row carries out, and the test that shows it: [law.md](law.md).
"""

CALENDAR: Final = f"""\
## The working-day calendar

The day on which a term begins does not count; the term ends with the last working day, at midnight in Shanghai, and
"in time" means before that moment. The package `chinesecalendar` knows the years whose official notice was out when
it was made. A calendar file adds or replaces whole years ({YEAR_FIRST} to {YEAR_LAST}), but for the statutory days,
which are off by law unless it names them in `workdays`; of a year that neither knows the thirteen statutory days are
off, the lunar ones as `holidays` reckons them; the rest counts Monday to Friday, since what is made up for, and when,
nobody knows yet. Every clock that rests on such a year is marked (`known` is false), and `wurao case show` says so:
give the file as soon as the notice is out. It is read again when it changes, and then, as at every start with another
calendar, each clock in working days that runs is reckoned anew from its own beginning: its case gets a
`clock-reckoned`, an event of every procedure, which changes nothing but that clock. A term that is over by the new
calendar is due at once. Clocks that versions before this one have set keep no beginning, and stay as they are.

```toml
[[years]]
year = 2027
holidays = [2027-01-01]      # weekdays that are off, weekend days may be named too
workdays = []                # weekend days that are worked
source = "the official notice"
```
"""


def render() -> str:
    """The whole page."""
    parts = [
        HEAD,
        _work(),
        *(_procedure(one) for one in OUTLINES),
        _settings(Settings()),
        _warning(WarningSettings()),
        CALENDAR,
    ]
    return "\n".join(parts)


def _procedure(procedure: Outline) -> str:
    states = [
        (f"`{state}`", "ended" if state in procedure.ended else "", meaning)
        for state, meaning in procedure.states.items()
    ]
    rows = [
        (_states(one.sources), f"`{one.event}`", one.condition, f"`{one.target}`" if one.target else "", one.does)
        for one in procedure.lines
    ]
    return "\n".join(
        (
            f"## {procedure.title} · {CHINESE[procedure.name]} (`{procedure.name}`)\n",
            f"{procedure.articles}.\n",
            f"{procedure.theory}\n",
            "```mermaid",
            "stateDiagram-v2",
            *_edges(procedure),
            "```\n",
            _table(("state", "", "meaning"), states),
            _table(("in", "event", "if", "then", "does"), rows),
            *_acts(procedure),
        )
    )


def _work() -> str:
    """What offices do with a case besides acting on it."""
    rows = [
        (
            f"`{act.name}`",
            ", ".join(f"`{role}`" for role in act.roles),
            (act.event.__doc__ or "").strip().splitlines()[0],
        )
        for act in WORK
    ]
    theory = (case_work.__doc__ or "").strip().partition("\n\n")
    bounds = (
        f"A case holds {NOTES_MAX} notes of {NOTE_CHARACTERS_MAX:,} characters and {ATTACHMENTS_MAX} attachments, and "
        f"shows the latest {ASSIGNMENTS_MAX} hand-overs; all stand in `case-events`.\n"
    )
    about = theory[2].partition("\n\n")[0]
    return "\n".join(
        (
            "## Work with a case, in every procedure\n",
            f"{theory[0]}\n",
            f"{about}\n",
            _table(("event", "whose it is", "what it says"), rows),
            bounds,
        )
    )


def _acts(procedure: Outline) -> Iterable[str]:
    """Which body does what of this procedure."""
    acts = [
        (
            f"`{act.name}`",
            ", ".join(f"`{role}`" for role in act.roles),
            ", ".join(f"`{role}`" for role in act.recorders),
            "one proposes, another decides" if act.name in procedure.decisions else "",
        )
        for act in ACTS[procedure.name]
    ]
    return (_table(("act of people", "whose it is", "recorded, with their document, by", "two persons"), acts),)


def _edges(procedure: Outline) -> list[str]:
    """The moves from state to state; rows that stay are in the table only, or the diagram would be all loops."""
    moves: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for one in procedure.lines:
        for source in one.sources:
            if one.target is not None and one.target != source:
                labels = moves.setdefault((source, one.target), [])
                label = _label(one)
                if label not in labels:
                    labels.append(label)
    lines = [
        f"    {_node(source)} --> {_node(target)}: {', '.join(labels)}" for (source, target), labels in moves.items()
    ]
    ends = [f"    {_node(state)} --> [*]" for state in procedure.states if state in procedure.ended]
    return lines + ends


def _label(line: Line) -> str:
    if line.event == "clock":
        return line.condition.split("`")[1] + " due" if "`" in line.condition else "term missed"
    return line.event


def _node(state: StrEnum) -> str:
    return "[*]" if state == "new" else state.replace("-", "_")


def _states(states: Sequence[StrEnum]) -> str:
    return ", ".join(f"`{state}`" for state in states)


def _settings(settings: Settings) -> str:
    terms = [(f"`{one.clock}`", _length(one), str(one.warning_days or ""), one.basis) for one in settings.terms]
    measures = [
        (f"`{one.measure}`", f"{one.grace_ms / HOUR_MS:g} h", f"{one.length_ms / HOUR_MS / 24:g} days")
        for one in settings.measures
    ]
    ladders = [(f"`{one.grounds}`", " → ".join(one.rungs)) for one in settings.ladders]
    limits, tries, span = settings.campaign, settings.attempts_min, settings.attempts_span_ms / HOUR_MS
    weights = [(f"`{name}`", _number(getattr(limits, name))) for name in limits.__struct_fields__]
    return "\n".join(
        (
            "## Terms and limits\n",
            "`setting`: no article sets it; ours, and may be changed.\n",
            _table(("clock", "length", "warns working days before", "basis"), terms),
            _table(("measure", "grace once notified", "then lasts"), measures),
            f"Sustained findings of the last {settings.memory_ms / HOUR_MS / 24:g} days make the next one heavier:\n",
            _table(("grounds", "measures"), [*ladders, ("all others", " → ".join(settings.ordinary))]),
            f"A party counts as notified when {tries} deliveries failed at its own end over at least {span:g} h.",
            f"A measure without an end is reviewed every {settings.review_ms / HOUR_MS / 24:g} days.\n",
            _table(("limit of a campaign", "default"), weights),
        )
    )


def _warning(settings: WarningSettings) -> str:
    rules = [(f"`{rule.grounds}`", rule.says, f"{rule.limit(settings):g}") for rule in RULES]
    figures = [(name, getattr(settings, name)) for name in settings.__struct_fields__]
    names = [(f"`{name}`", _number(value)) for name, value in figures if not isinstance(value, str)]
    return "\n".join(
        (
            "## Early warning\n",
            "Article 21. Rules over windows of activity, per party and channel; a finding carries its figures.\n",
            _table(("grounds", "measures", "above"), rules),
            _table(("setting", "default"), names),
        )
    )


def _number(value: float) -> str:
    return f"{value:_}" if isinstance(value, int) else f"{value:g}"


def _length(term: Term) -> str:
    return f"{term.working_days} working days" if term.working_days else f"{term.length_ms / HOUR_MS / 24:g} days"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
