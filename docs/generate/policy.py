"""`docs/policy.md`: the rules as the code has them, for a lawyer and an engineer to read together.

Everything on the page comes from the table, the policy file, the duties and the tests that name the row they cover.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stream.policy.duties import DUTIES
from stream.policy.loading import load
from stream.policy.rules import TABLE, Rule

TARGET: Final = "docs/policy.md"
TESTS: Final = Path(__file__).parents[2] / "tests/policy/test_rules.py"

HEAD: Final = """\
# The policy

Made by `docs/generate/policy.py` from `stream/policy/rules.py`. Do not edit.

Rules are tried from top to bottom; the first whose needs are all met decides. So each rule is read as "given that none
above has decided". Where the design gives one rule two reasons, it stands here as two rows. `python -m
stream.policy.prove` proves what the table promises, and shows an event for each row.

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
