"""Numbers as gateways and people write them: every base with everything that may stand before it, in every dress."""

from collections.abc import Callable
from typing import Final

MOBILES: Final = ("13800138000", "13900139000", "17012345678")
FIXED: Final = ("1087654321", "1012345678", "10690123456", "1069012345", "21555588", "7552345678", "9558812345")
THINGS: Final = ("1491234567890", "1064123456789")
PORTS: Final = ("1069012345", "10690", "106901", "106", "1069012345678901234567")
SERVICES: Final = ("95588", "4001234567", "8001234567", "12580", "1095588", "75595588", "955")
HELP: Final = ("110", "112", "999", "000", "08", "911", "12110123456", "10110", "021119", "urn:service:sos")
REDRESS: Final = ("12300", "10086", "10001")
FOREIGN: Final = ("85223456789", "12125550123", "108613800138000", "0123456789", "1234567")
BASES: Final = (*MOBILES, *FIXED, *THINGS, *PORTS, *SERVICES, *HELP, *REDRESS, *FOREIGN)
BEFORE: Final = ("", "+86", "86", "0086", "+", "0", "+860", "860", "+0086", "00", "+00", "+10", "8686")
QUICK: Final = ("+86", "", "86", "0086")
"""What may stand before a mobile number for the native way to take it."""

FULL_WIDTH: Final = {ord(plain): ord(plain) - 0x20 + 0xFF00 for plain in "+0123456789"}

DRESSES: Final[tuple[Callable[[str], str], ...]] = (
    lambda text: text,
    lambda text: f"{text[:3]} {text[3:7]} {text[7:]}",
    lambda text: f"{text[:4]}-{text[4:]}",
    lambda text: f"({text[:3]}){text[3:]}",
    lambda text: f"{text[:-2]}-{text[-2:]}",
    lambda text: f"tel:{text}",
    lambda text: f"TEL:{text};phone-context=+86",
    lambda text: f"tel:{text};phone-context=+852",
    lambda text: f"sip:{text}@ims.example.org;user=phone",
    lambda text: f"sips:tel:{text}?x",
    lambda text: f"{text}#",
    lambda text: f"{text}.0",
    lambda text: text.translate(FULL_WIDTH),
    lambda text: f"\u202d{text}\u202c",
    lambda text: f"{text[:2]}\u200b{text[2:]}\ufe0f",
    lambda text: f"{text[:5]}\u2013{text[5:]}",
    lambda text: f" {text}",
    lambda text: text.upper(),
    lambda text: f"{text}x",
    lambda text: f"{text}0",
)

PLAIN: Final = tuple(dict.fromkeys(before + base for base in BASES for before in BEFORE))
"""Without a dress: what the native way looks at."""
ALL: Final = tuple(dict.fromkeys(dress(text) for text in PLAIN for dress in DRESSES))
PRESENTED: Final = ("anonymous", "Restricted", "匿名", "12", "0", "0013800", "87654321", "00138000", "138000", "4321")
