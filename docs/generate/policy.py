"""`docs/policy.md`: the rules as the code has them, for a lawyer and an engineer to read together.

Everything on the page comes from the table, the policy file, the duties and the tests that name the row they cover.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stream.policy.duties import DUTIES
from stream.policy.loading import load
from stream.policy.replies import OWNER
from stream.policy.rules import TABLE, Rule

TARGET: Final = "docs/policy.md"
TESTS: Final = Path(__file__).parents[2] / "tests/policy/test_rules.py"

HEAD: Final = """\
# The policy

Made by `docs/generate/policy.py` from `stream/policy/rules.py`. Do not edit.

Rules are tried from top to bottom; the first whose needs are all met decides. So each rule is read as "given that none
above has decided". Where the design gives one rule two reasons, it stands here as two rows. `python -m
stream.policy.prove` proves what the table promises, and shows an event for each row.

A policy file may have to be signed: [signatures.md](signatures.md).

*Reported* marks articles that are known from public reports alone, not from their text.

"""


def render() -> str:
    """The whole page."""
    covered = coverage()
    lines = [
        HEAD + "## Rules",
        "",
        "| rule | needs | answer | basis | article | test |",
        "|---|---|---|---|---|---|",
        *(_row(rule, covered[rule.id]) for rule in TABLE),
        "",
        "## Duties",
        "",
        "| basis | article | duty |",
        "|---|---|---|",
        *(f"| `{basis}` | {duty.cited} | {duty.line} |" for basis, duty in DUTIES.items()),
        "",
        *_replies(),
        "",
        *_answers(),
    ]
    return "\n".join(lines) + "\n"


def coverage() -> dict[str, list[str]]:
    """Row → names of the tests that cover it, read from their `@covers(…)`. Every row has an entry."""
    found: dict[str, list[str]] = {rule.id: [] for rule in TABLE}
    for name, row in _covering(ast.parse(TESTS.read_text(encoding="utf-8"))):
        found[row].append(name)
    return found


def _covering(module: ast.Module) -> Iterator[tuple[str, str]]:
    for function in module.body:
        if isinstance(function, ast.FunctionDef):
            for decorator in function.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Name(id="covers"), args=rows):
                        yield from ((function.name, ast.literal_eval(row)) for row in rows)


def _row(rule: Rule, tests: Iterable[str]) -> str:
    needs = "; ".join(need.sentence for need in rule.needs)
    basis = "the order's" if rule.cites_order else f"`{rule.basis}`" if rule.basis else "—"
    article = DUTIES[rule.basis].cited if rule.basis else "—"
    names = "<br>".join(f"`{name}`" for name in tests)
    return f"| {rule.id} | {needs} | {rule.verdict} · `{rule.reason}` | {basis} | {article} | {names} |"


def _replies() -> Iterator[str]:
    policy = load()
    reading = policy.file.reply_text
    yield f"## Replies under `{policy.version}`"
    yield ""
    yield "A reply is read before its words are looked at, in this order:"
    yield ""
    yield f"1. Lines that begin with {_words(reading.quoted_lines)} go."
    yield (
        f"2. It ends before the first {_words(reading.ends)} that has a letter or number before it, before a line that "
        f"begins with {_words(reading.ending_lines)} below its first line with a letter or number, and before "
        f"{_words(reading.passed_on)}."
    )
    yield f"3. What stands in {_words(reading.quotation_marks)} goes, where a letter or number stands outside."
    yield f"4. Taken out are {_words(reading.no_refusal)}, unless it holds one of {_words(reading.insists)}."
    yield "5. All that is neither letter nor number goes."
    yield ""
    yield (
        f"With one of {_words(reading.undoes)} and none of those that follow *unless* it is no refusal. Before the "
        f"words of a row may stand any of {_words(reading.before)}, behind them any of {_words(reading.after)}."
    )
    yield ""
    yield "| sent to | is one of | or holds one of | writes |"
    yield "|---|---|---|---|"
    for rule in policy.file.replies:
        to = "a number with an owner on sms" if rule.to == OWNER else _words(rule.to)
        several = ", several of them too" if rule.repeated else ""
        about = "the owner" if rule.scope == OWNER else "everybody"
        yield (
            f"| {to} | {_words(rule.texts)}{several} | {_words(rule.contains) or '—'} "
            f"| {rule.will}, about {about} on {rule.channel} |"
        )


def _words(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def _answers() -> Iterator[str]:
    policy = load()
    yield f"## Answers under `{policy.version}`"
    yield ""
    yield "What a gateway answers, per protocol. `allow` has no code."
    yield ""
    yield "| reason | SMPP | CMPP | SIP | Q.850 |"
    yield "|---|---|---|---|---|"
    for reason, answer in policy.file.answers.items():
        smpp = f"0x{answer.smpp:04X}" if answer.smpp is not None else "—"
        others = (answer.cmpp, answer.sip, answer.q850)
        yield f"| `{reason}` | {smpp} | " + " | ".join("—" if code is None else str(code) for code in others) + " |"
