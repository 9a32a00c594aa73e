"""How texts and replies are read (DESIGN sections 4, *Limits*, and 5), once more and plainly: for `model`.

Written from the document alone; nothing here is fast or shared with `stream`, but for the file of simplified
characters, which is data of the policy.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

OPT_OUT = re.compile(r"退订|拒收|回[复覆]?(?:[^\w]|_){0,2}(td|t|r|n)([^a-z0-9]|\Z)")
MARKS_MAX = 30
_LATIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_TRADITIONAL, _SIMPLIFIED = (
    line
    for line in (Path(__file__).parents[2] / "stream/policy/simplified.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)
_TABLE = dict(zip(_TRADITIONAL, _SIMPLIFIED, strict=True))


def few_marks(written: str) -> str:
    kept, run = "", 0
    for character in written:
        run = run + 1 if unicodedata.category(character)[0] == "M" else 0
        if run <= MARKS_MAX:
            kept += character
    return kept


def normal(written: str) -> str:
    return unicodedata.normalize("NFKC", few_marks(written))


def folded(written: str) -> str:
    return "".join(_TABLE.get(character, character) for character in normal(written).lower())


def is_letter_or_number(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def stripped(said: str) -> str:
    return "".join(filter(is_letter_or_number, said))


def prohibited(written: str, terms: Iterable[str]) -> bool:
    said = folded(written)
    return any(counts(stripped(folded(term)), said) for term in terms)


def counts(term: str, said: str) -> bool:
    """Whether a stripped term counts in a folded text."""
    if not set(term) <= set(_LATIN):
        return term in stripped(said)
    return any(_word_at(term, said, begin) for begin in range(len(said)))


def _word_at(word: str, said: str, begin: int) -> bool:
    if begin and said[begin - 1] in _LATIN:
        return False
    at = begin
    for place, character in enumerate(word):
        between = said[at : at + 1]
        if place and not word.isdigit() and between and not is_letter_or_number(between) and between != ",":
            at += 1
        if said[at : at + 1] != character:
            return False
        at += 1
    return said[at : at + 1] == "" or said[at] not in _LATIN


def digits(contact: str) -> str:
    return "".join(c for c in normal(contact) if c in "0123456789")


def reached(said: str, contact: str, read: Callable[[str], str]) -> bool:
    """Whether the contact stands in a folded text."""
    number, spellings = read(contact), {digits(contact)}
    if number.startswith("+86"):
        spellings |= {number[3:], f"0{number[3:]}"}
    else:
        spellings.add(digits(number))
    return any(_digits_stand(spelling, said) for spelling in spellings if spelling)


def _digits_stand(wanted: str, said: str) -> bool:
    for begin in range(len(said)):
        if begin and said[begin - 1] in "0123456789":
            continue
        at = begin
        for place, digit in enumerate(wanted):
            while place and at < len(said) and _between_digits(said[at]):
                at += 1
            if said[at : at + 1] != digit:
                break
            at += 1
        else:
            if said[at : at + 1] == "" or said[at] not in "0123456789":
                return True
    return False


def _between_digits(character: str) -> bool:
    return character.isspace() or character in "()\u2212" or unicodedata.category(character) == "Pd"


def _words(line: str) -> list[str]:
    return line.split()


NOT_REFUSED = _words("不退订 别退订 不要退订 不想退订 不拒收 取消退订 没退订 没有退订 不用退订 不需要退订 无需退订")
INSISTS = _words("别再发 不要再发 不要发了 别发了 停止发送 投诉 再不退订 还不退订 怎么不退订 为什么不退订 一直不退订")
BEFORE = _words("请 回 回复 发 发送 我要")
WORDS = _words(
    "退订 拒收 退定 退钉 退丁 推订 取消订阅 取消 停止 停发 停 退 拒绝 别发 莫发 "
    "td tdd dt t r n qx no tuiding stop cancel unsubscribe optout"
)
AFTER = _words("短信 信息 谢谢 了 吧")
CONTAINED = _words(
    "退订 拒收 退定 取消订阅 请勿打扰 不再接收 停发 莫发 unsubscribe stopsending stoptexting "
    "别再发 不要再发 不要发了 别发了 别再给我发 不要再给我发 停止发送"
)
UNDONE = _words("撤回 误操作 误点 点错 手滑 恢复 重新开通")


def meant(written: str) -> str:
    """What the author of a reply wrote, stripped: without what is quoted, signed or said not to be a refusal."""
    said = "\n".join(line for line in re.split(r"\r\n|\r|\n", folded(written)) if not line.lstrip().startswith(">"))
    said = said[: _end(said)]
    said = said.partition("【")[0]
    outside = re.sub(r'“[^”]*”|"[^"]*"', "", said)
    if stripped(outside):
        said = outside
    if not any(word in said for word in INSISTS):
        said = re.sub("|".join(NOT_REFUSED), "", said)
    return stripped(said)


def _end(said: str) -> int:
    ends = [len(said)]
    ends += [at for at in range(len(said)) if said.startswith(("发自我的", "sent from my"), at) and stripped(said[:at])]
    at = 0
    for line in said.split("\n"):
        if stripped(said[:at]) and line.lstrip().startswith(("--", "发自", "sent from")):
            ends.append(at)
        at += len(line) + 1
    return min(ends)


def refuses(written: str) -> bool:
    """Whether a reply to a number with an owner is a refusal."""
    said = meant(written)
    if any(word in said for word in UNDONE) and not any(word in said for word in INSISTS):
        return False
    grammar = f"(?:{'|'.join(BEFORE)})*(?:{'|'.join(WORDS)})+(?:{'|'.join(AFTER)})*"
    return re.fullmatch(grammar, said) is not None or any(word in said for word in CONTAINED)


def orders(written: str, word: str) -> bool:
    """Whether a reply to a service number is this word of it."""
    return re.fullmatch(f"(?:{'|'.join(BEFORE)})*{word}(?:{'|'.join(AFTER)})*", meant(written)) is not None
