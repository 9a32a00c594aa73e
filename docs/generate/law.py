"""`docs/law.md`: Articles 22 to 42 sentence by sentence, from the two tables `docs/generate/law_of_services.py` and
`docs/generate/law_of_supervision.py`, with links.

A reference to what is not there is found by `absent`, and a test fails on it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from docs.generate import law_of_services, law_of_supervision
from docs.generate.law_table import Article, Clock, Place, Row, Rule, Sentence
from docs.generate.procedures import CHINESE
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import TERMS
from stream.policy.rules import TABLE

TARGET: Final = "docs/law.md"

ARTICLES: Final = (*law_of_services.ARTICLES, *law_of_supervision.ARTICLES)

_ROOT: Final = Path(__file__).parents[2]

_HEAD: Final = """\
# The law, sentence by sentence

Made by `docs/generate/law.py` from the tables `docs/generate/law_of_*.py`. Do not edit.

What Articles 22 to 42 of the draft *Provisions on the Administration of Communication Short Message and Voice Call
Services* (《通信短信息和语音呼叫服务管理规定（征求意见稿）》, 31 August 2020) say, in our words; what carries each
sentence out, the test that shows it, and what is out of scope or open, and why. The Chinese words are for finding
one's way, and no quotation. ¶ names the draft's paragraph where it is known; numbers in brackets count sentences.
The duties of Articles 1 to 21, known from reports alone, stand in [policy.md](policy.md). *Row* is one of a
procedure's table in [procedures.md](procedures.md), *rule* one of [policy.md](policy.md), *term* a clock. A test
fails where a file, row, rule, term or test is not there.
"""

_WORDS: Final = (
    (
        "电信管理机构",
        "the regulator: the Ministry, or a province's administration",
        "role `regulator`, level and region",
    ),
    ("12321受理中心", "the centre that takes users' complaints", "role `centre`"),
    ("相关企业（运营商、短信息和语音呼叫服务提供者）", "the company", "role `desk`"),
    ("电信用户申诉受理机构", "the appeals body to which users take disputes", "role `appeals-body`"),
    ("用户", "the subscriber", "role `subscriber-agent`"),
    ("短信息内容提供者、发送单位", "the sender: the party of a measure, or a public body", "role `sender`"),
    ("限制新增通信资源", "no new numbers", "measure `limit`"),
    ("停止商业性短信息、商业性电话", "no commercial traffic", "measure `stop`"),
    ("暂停服务", "no traffic", "measure `suspend`"),
    ("告知、送达", "notice and its service", "topics `notices`, `deliveries`; event `served`"),
    ("公益性短信息", "public-interest SMS", "topic `registry.campaigns`; purposes `public`, `emergency`"),
    ("工作日", "working days, make-up days (调休) included", "`stream/enforce/procedures/calendar_cn.py`"),
    *((CHINESE[one.name], one.title.lower(), f"procedure `{one.name}`") for one in OUTLINES),
)


def render() -> str:
    """The whole page."""
    parts = [_HEAD, "## Words\n", _table(("中文", "meaning", "here"), _WORDS)]
    parts += map(_article, ARTICLES)
    return "\n".join(parts)


def absent(sentence: Sentence) -> Iterator[str]:
    """What a sentence names that is not there."""
    yield from (_shown(place) for place in sentence.by if not _is_there(place))
    yield from absent_tests(sentence.tests)


def absent_tests(tests: Iterable[str]) -> Iterator[str]:
    """Those of these tests that are not there."""
    for test in tests:
        path, _, name = test.partition("::")
        file = _ROOT / path
        if not file.is_file() or f"def {name}(" not in file.read_text(encoding="utf-8"):
            yield test


def _is_there(place: Place) -> bool:
    match place:
        case Row():
            lines = (line for one in OUTLINES if one.name == place.procedure for line in one.lines)
            return any(line.event == place.event and place.state in line.sources for line in lines)
        case Rule():
            return any(rule.id == place.id for rule in TABLE)
        case Clock():
            return any(term.clock == place.name for term in TERMS)
        case str():
            return (_ROOT / place).is_file()


def _shown(place: Place) -> str:
    match place:
        case Row():
            return f"row `{place.procedure}`: `{place.state}` · `{place.event}`"
        case Rule():
            return f"rule {place.id}"
        case Clock():
            return f"term `{place.name}`"
        case str():
            return f"[`{place}`](../{place})"


def _article(article: Article) -> str:
    first, *others = article.numbers
    numbers = f"Articles {first} {'and' if len(others) == 1 else 'to'} {others[-1]}" if others else f"Article {first}"
    rows = (
        (
            one.number,
            one.says,
            one.chinese,
            "<br>".join(map(_shown, one.by)) or "—",
            "<br>".join(f"`{test}`" for test in one.tests) or "—",
            one.out,
        )
        for one in article.sentences
    )
    head = ("", "it says", "中文", "carried out by", "shown by", "out of scope, open, or our reading")
    title = f"## {numbers}: {article.title} ({article.chinese})\n\n"
    ways = "".join(f"* `{way}`\n" for way in article.ways)
    whole = f"Whole ways, by real processes on a genuine broker:\n\n{ways}\n" if ways else ""
    return f"{title}{whole}{_table(head, rows)}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = tuple(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
