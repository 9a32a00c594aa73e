"""DESIGN section 4, *Numbers are read*, once more and as plain as can be: what the reader is compared with.

Written from the document alone, step by step; nothing is shared with `bloom.number` or `stream.policy`.
"""

import re
import unicodedata

HELP = re.compile(
    r"((\+?86|0)(10|2[0-9]|[3-9][0-9]{2}))?(110|112|119|120|122|999)|000|08|118|911|12110[0-9]{0,6}"
    r"|urn:service:sos(\..+)?"
)
REDRESS = ("12300", "12321", "12315", "12345", "10000", "10001", "10010", "10015", "10086", "10099")
SHORT = re.compile(r"1[0-2][0-9]{1,4}|9[56][0-9]{3,6}|[48]00[0-9]{7}")
SUBSCRIBER = re.compile(r"\+[1-9][0-9]{6,14}")
MOBILE = re.compile(r"1[3-9][0-9]{9}|14[0-9]{11}|1064[0-9]{9}")
FIXED = re.compile(r"(10|2[0-9])[2-9][0-9]{7}|(?!400|800|95[06-9]|96)[3-9][0-9]{2}[2-9][0-9]{6,7}")
HOTLINE = r"9[56][0-9]{3,6}"
AREA = r"(?:10|2[0-9]|[3-9][0-9]{2})"


def is_dash(character: str) -> bool:
    return unicodedata.category(character) == "Pd" or character == "\u2212"


def visible(text: str) -> str:
    """Step 1, its first sentence."""
    run, kept = 0, []
    for character in text:
        run = run + 1 if unicodedata.category(character)[0] == "M" else 0
        if run <= 30:
            kept.append(character)
    return "".join(
        c
        for c in unicodedata.normalize("NFKC", "".join(kept))
        if unicodedata.category(c)[0] not in "CZ" and not 0xFE00 <= ord(c) <= 0xFE0F
    )


def read(text: str) -> str:
    """Steps 1 to 4."""
    text = visible(text)
    bare = re.sub(r"^((sips?|tel):)*", "", text, flags=re.IGNORECASE)
    if bare.lower().startswith("urn:service:"):
        return re.split("[;@?]", bare)[0].lower()
    if bare != text:
        number, *rest = re.split("(?=[;@?])", bare, maxsplit=1)
        context = re.search(r";phone-context=\+([0-9]+)", rest[0] if rest else "", flags=re.IGNORECASE)
        if "+" not in number and not HELP.fullmatch(number) and context and context[1] != "86":
            number = "+" + context[1] + number
        text = number
    while text.endswith("#"):
        text = text[:-1]
    for digits in (1, 2):
        tail = text[-digits:]
        if (
            len(text) > digits
            and re.fullmatch("[0-9]+", tail)
            and (is_dash(text[-digits - 1]) or text[-digits - 1] == ".")
        ):
            return text
    text = "".join(c for c in text if not is_dash(c) and c not in ".()")
    if text.startswith("+00"):
        text = text[1:]
    if text.startswith("0086") or re.match("00[1-9][0-9]{8}", text):
        text = "+" + text[2:]
    if HELP.fullmatch(text):
        return text
    if text[:1] in ("+", "0") and HELP.fullmatch(text[1:]):
        return text[1:]
    if text.startswith("+10"):
        text = text[1:]
    return of_china(text)


def of_china(text: str) -> str:  # noqa: PLR0911  # one for each sentence
    """Step 4."""
    behind = re.fullmatch(r"(\+?)86(0?)(.*)", text)
    if behind:
        plus, nought, national = behind.groups()
        if HELP.fullmatch(nought + national):
            return nought + national
        if HELP.fullmatch(national):
            return national
        if nought + national in REDRESS or (plus and SHORT.fullmatch(nought + national)):
            return nought + national
        if MOBILE.fullmatch(national) or FIXED.fullmatch(national):
            return "+86" + national
        hotline = re.fullmatch(f"{AREA}({HOTLINE})", national)
        return hotline[1] if hotline else text
    if MOBILE.fullmatch(text):
        return "+86" + text
    if text.startswith("0"):
        if MOBILE.fullmatch(text[1:]) or FIXED.fullmatch(text[1:]):
            return "+86" + text[1:]
        hotline = re.fullmatch(f"0{AREA}({HOTLINE})", text)
        return hotline[1] if hotline else text
    if text.startswith("+") and len(text) <= 7 and (text[1:] in REDRESS or SHORT.fullmatch(text[1:])):
        return text[1:]
    return text


def read_port(text: str) -> str:
    """The same, and the first sentence of step 5."""
    number = read(text)
    port = re.fullmatch(r"(?:\+86|86|0|860|\+860)(106[0-9]+)", number)
    return port[1] if port else number


def is_person(number: str) -> bool:
    """Whether a number as read is a person's."""
    if not SUBSCRIBER.fullmatch(number):
        return False
    return not number.startswith("+86") or bool(MOBILE.fullmatch(number[3:]) or FIXED.fullmatch(number[3:]))
