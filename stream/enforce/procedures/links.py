"""Links in a text, as people write and hide them (Article 27: a public-interest text holds no URL or link).

Found are addresses with a scheme, an IP address, or a domain of any top-level domain: also right beside Chinese, in
full width, between zero-width characters, letter by letter, underlined, in Cyrillic or Greek letters that look like
Latin ones, and with a dot that is written `。`, `点`, `[.]`, `dot`, `,` or `..`.
A text is read as its reader would: `e.g.info.`, `1.2 元` and `9点to` are none. What may be either is named, and whoever
filed it writes it otherwise. Linear in the text.

The top-level domains are those of the Public Suffix List's part for IANA's root zone, of the day in the version of
`publicsuffixlist` (1.1.2.20261023 is of 23 October 2026).
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple
from unicodedata import category, normalize

from publicsuffixlist import PublicSuffixList

from stream.policy.text import fold

_TOP_LEVEL: Final = PublicSuffixList(only_icann=True, accept_unknown=False)

_COMMON: Final = frozenset(["com", "cn", "net", "org", "gov", "edu", "top", "xyz", "cc", "vip", "wang"])
"""What a top-level domain must be where its dot may as well end a sentence: no words of any language."""

_NO_WORDS: Final = frozenset(["com", "cn", "net", "org"])
"""Top-level domains that follow no time of day: `9点vip专场` is one, `9点com` is 9.com."""

_HOURS: Final = frozenset(form.format(hour) for hour in range(25) for form in ("{}", "{:02}"))

_COUNTRIES: Final = frozenset(["中国", "香港", "台湾", "澳门", "新加坡"])
"""Top-level domains in Chinese that are names. All others are words (`政府.网站公布`), and follow `abc.` alone."""

_HAN: Final = re.compile("[\u3400-\u9fff]")

_LETTERS_LONGEST: Final = 11
"""Characters of the longest top-level domain that is not of a to z; after it, Chinese goes on without a space."""

_MARKS: Final = "".join(c for c in map(chr, range(0x10000)) if category(c).startswith("M"))
"""Which are part of words in the scripts of India: a dozen top-level domains have one."""

_SHOWN_MAX: Final = 60
_LABEL_SHOWN_MAX: Final = 10
"""Of a label in Chinese, which may be half a sentence, its end is shown."""

_DOT: Final = ".。·•・‧∙⋅点"
_TOKEN: Final = re.compile(
    rf"(?P<dot>(?P<bracketed> ?[\[({{<【〔《〈「『] ?(?:[{_DOT}]|dot) ?[\])}}>】〕》〉」』] ?)| dot | ?[{_DOT}] ?)"
    rf"|(?P<ascii>[a-z0-9-]+)|(?P<word>(?:[^\Wa-z0-9_点]|[{_MARKS}])+)|(?:.)",
    re.DOTALL,
)
_LETTER_BY_LETTER: Final = re.compile(rf"(?<![a-z0-9-])[a-z0-9](?: [a-z0-9{_DOT}]){{3,}}(?![a-z0-9-])")
_ENDING_BY_LETTER: Final = re.compile(rf"([{_DOT}] ?)([a-z](?: [a-z])+)(?![a-z0-9-])")
_QUOTE: Final = "\"'`‘’“”"
_LIKE_A_DOT: Final = re.compile(
    rf"(?<=[a-z0-9])(?: ?, ?(?=(?:{'|'.join(sorted(_NO_WORDS))})(?![a-z0-9-]))"
    rf"| ?(?:[丶●○◦▪]|[{_DOT}]{{2,}}|[{_QUOTE}] ?[{_DOT}] ?[{_QUOTE}]) ?"
    rf"(?=(?:{'|'.join(sorted(_COMMON))})(?![a-z0-9-])))"
)
"""What is a dot only between a name of letters or digits and such a top-level domain."""

_SCHEME: Final = re.compile(r"(?P<name>\w{1,30})? ?: ?[/\\] ?[/\\]")
_APP: Final = re.compile(
    r"(?<![a-z0-9])(?P<name>weixin|wechat|alipays?|taobao|tbopen|tmall|pinduoduo|douyin|snssdk\d{1,6}|mqq[a-z]{0,9}|"
    r"baiduboxapp|intent|market|https?|ftp) ?: ?(?=[a-z0-9_.-]{1,40}[/?])"
)
"""Schemes that open an app or a page without `//` after them: `weixin:dl/…`."""

_BYTE: Final = r"(?:0x[0-9a-f]{1,2}|0?\d{1,3})"
_IP: Final = re.compile(rf"(?<![\d{_DOT}]){_BYTE}(?: ?[{_DOT}] ?{_BYTE}){{3}}(?!\d)")
_IP_SHORT: Final = re.compile(
    r"(?<![a-z0-9.])(?:127|0x[0-9a-f]{1,2})(?: ?[.。] ?(?:0x[0-9a-f]{1,6}|\d{1,8})){1,2}(?! ?[\w%‰°]| ?[.。] ?\d)"
)
"""Of addresses with parts left out, those that are no figure: `127.1` (what follows is no unit) and `0xa.1`."""
_IP_PARTS: Final = re.compile(_BYTE)
_IP6: Final = re.compile(r"(?<![0-9a-f:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![0-9a-f:])")
_IP6_DIGITS_MIN: Final = 4
"""Hexadecimal digits of an address: `9::30` is a time that somebody mistyped."""

_LOOKS: Final = str.maketrans(
    "асеорхуіјѕԁһԛԝӏАВСЕНІЈКМОРԚЅТУХԜαικνορτυχγωϲΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ",
    "aceopxyijsdhqwlABCEHIJKMOPQSTYXWaikvoptuxywcABEZHIKMNOPTYXC",
)
"""Cyrillic and Greek letters by the Latin ones that they look like; capitals look otherwise than small ones."""

_OTHER_LETTERS: Final = "\u0370-\u03ff\u0400-\u052f"
_OTHER_LETTER: Final = re.compile(f"[{_OTHER_LETTERS}]")
_MIXED_WORD: Final = re.compile(f"[A-Za-z0-9{_OTHER_LETTERS}]+")
_MARKED: Final = re.compile(f"(?<=[a-z0-9{_DOT}])[{_MARKS}]+")
_ACCENTED: Final = re.compile("[\u00e0-\u024f\u1e00-\u1eff]")

_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Characters that show nothing (Unicode's Default_Ignorable_Code_Point) and are no format characters (Cf)."""


class _Label(NamedTuple):
    text: str
    is_ascii: bool
    dot: str
    """before it; empty where it begins a chain"""
    bracketed: bool


def links(text: str) -> tuple[str, ...]:
    """Every link, as it is read, in order of kind: with a scheme, IP addresses, domains."""
    read = _as_read(text)
    found = [f"{match['name'] or ''}://" for match in _SCHEME.finditer(read)]
    found += (f"{match['name']}:" for match in _APP.finditer(read))
    found += (match[0].replace(" ", "") for match in _IP.finditer(read) if _is_ip(match[0]))
    found += (match[0].replace(" ", "") for match in _IP_SHORT.finditer(read))
    found += (match[0] for match in _IP6.finditer(read) if _is_ip6(match[0]))
    for chain in _chains(read):
        if (domain := _domain(chain)) is not None:
            found.append(domain)
    return tuple(dict.fromkeys(one[-_SHOWN_MAX:] for one in found))


def _as_read(text: str) -> str:
    """The text folded, without what cannot be seen, its white space single, letters that stand apart put together, and
    what looks like a Latin letter or a dot as that.
    """
    if _OTHER_LETTER.search(text):
        text = _MIXED_WORD.sub(lambda word: _as_latin(word[0]), text)
    seen = "".join(c for c in _UNSEEN.sub("", fold(text)) if category(c) != "Cf")
    if not seen.isascii():
        seen = _MARKED.sub("", _ACCENTED.sub(lambda letter: normalize("NFD", letter[0])[0], seen))
    read = _LETTER_BY_LETTER.sub(lambda run: run[0].replace(" ", ""), " ".join(seen.split()))
    read = _ENDING_BY_LETTER.sub(lambda run: run[1] + run[2].replace(" ", ""), read)
    return _LIKE_A_DOT.sub(".", read)


def _as_latin(word: str) -> str:
    """A word as it looks, where all of it looks Latin; top-level domains of other letters stay (`рус`)."""
    latin = word.translate(_LOOKS)
    lower = word.lower()
    kept = len(lower) <= _LETTERS_LONGEST and _TOP_LEVEL.publicsuffix(lower) == lower
    return latin if latin.isascii() and not kept else word


def _is_ip(text: str) -> bool:
    """Whether a browser reads it as an address: in decimal, in octal after a 0, in hexadecimal after 0x."""
    return all(_byte(part) < 256 for part in _IP_PARTS.findall(text))


def _byte(part: str) -> int:
    try:
        return int(part, 16 if part.startswith("0x") else 8 if part.startswith("0") else 10)
    except ValueError:  # 08 is decimal, if anything
        return int(part)


def _is_ip6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return len(text.replace(":", "")) >= _IP6_DIGITS_MIN


def _chains(text: str) -> Iterator[list[_Label]]:
    """Labels with dots between them, two at least."""
    chain: list[_Label] = []
    dot, bracketed = "", False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "dot" and chain and not dot:
            dot, bracketed = token[0], token["bracketed"] is not None
            continue
        if kind in ("ascii", "word"):
            label = _Label(token[0].strip("-"), kind == "ascii", dot, bracketed)
            if dot:
                chain.append(label)
            else:
                if len(chain) > 1:
                    yield chain
                chain = [label]
        else:
            if len(chain) > 1:
                yield chain
            chain = []
        dot, bracketed = "", False
    if len(chain) > 1:
        yield chain


def _domain(chain: list[_Label]) -> str | None:
    """The domain in a chain of labels, or None."""
    if chain[0].text == "www":
        return _written(chain)
    words = (place for place, label in enumerate(chain) if len(label.text) != 1 or not label.text.isalpha())
    letters_count = next(words, len(chain))
    for end in range(len(chain) - 1, 0, -1):
        top_level = _top_level(chain[end])
        abbreviated = 1 < end <= letters_count
        if top_level is not None and _is_domain(chain[end - 1], chain[end], top_level, abbreviated=abbreviated):
            return _written([*chain[:end], chain[end]._replace(text=top_level)])
    return None


def _top_level(label: _Label) -> str | None:
    """The top-level domain that a label is, or begins with where it is not of a to z."""
    if label.is_ascii:
        return label.text if _TOP_LEVEL.publicsuffix(label.text) == label.text else None
    beginnings = (label.text[:length] for length in range(min(len(label.text), _LETTERS_LONGEST), 1, -1))
    return next((one for one in beginnings if _TOP_LEVEL.publicsuffix(one) == one), None)


def _is_domain(name: _Label, last: _Label, top_level: str, *, abbreviated: bool) -> bool:
    """Whether a label and this top-level domain after it are a domain to a reader. `abbreviated`: all before the
    domain are single letters.
    """
    if abbreviated and top_level not in _COMMON:
        return False  # e.g., i.e., U.S., and a word after it
    if last.bracketed:
        return True
    dot = last.dot.strip()
    if _HAN.match(top_level) and top_level not in _COUNTRIES:
        return name.is_ascii and top_level == last.text and not last.dot.endswith(" ")
    if dot == "点" and name.text in _HOURS and top_level not in _NO_WORDS:
        return False  # a time of day
    ends_sentence = last.dot.endswith(" ") or (dot != "." and not name.is_ascii)
    return top_level in _COMMON if ends_sentence else last.is_ascii or dot == "."


def _written(chain: list[_Label]) -> str:
    first = chain[0].text if chain[0].is_ascii else chain[0].text[-_LABEL_SHOWN_MAX:]
    return ".".join([first, *(label.text for label in chain[1:])])
