"""Regions of China by their six-digit codes (GB/T 2260): which there are, and what kind of government each has.

The table, `regions_cn.txt`, goes down to prefectures and states its source. Counties change every year: of their
codes the part that names the prefecture is looked at.
"""

from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from stream.model.control import Level

COUNTRY: Final = "000000"

_NO_DISTRICTS: Final = frozenset(("441900", "442000", "460400", "620200"))
"""Cities of the level of a prefecture that are not divided into districts: Dongguan, Zhongshan, Danzhou, Jiayuguan."""


class Region(NamedTuple):
    """A region that there is."""

    code: str
    name: str
    """of the region down to the prefecture"""
    level: Level
    """of its government; `other` where it has none of its own, as a group of counties, or is a prefecture without"""


def region(code: str) -> Region | None:
    """The region of a code; None where there is none."""
    if code == COUNTRY:
        return Region(code, "全国", "national")
    if len(code) != len(COUNTRY) or not (code.isascii() and code.isdigit()):
        return None
    table = _table()
    if code.endswith("00"):
        return Region(code, table[code], _level(code, table[code])) if code in table else None
    above = f"{code[:4]}00"
    return Region(code, table[above], "county") if above in table and code[2:4] != "00" else None


def administration(code: str) -> str:
    """The region whose telecom administration decides on a body of this one: there are some for the country and for
    provinces (Article 27).
    """
    return code if code == COUNTRY else f"{code[:2]}0000"


def _level(code: str, name: str) -> Level:
    if code.endswith("0000"):
        return "province"
    if name.endswith("自治州"):
        return "autonomous-prefecture"
    return "city-with-districts" if name.endswith("市") and code not in _NO_DISTRICTS else "other"


@cache
def _table() -> dict[str, str]:
    table: dict[str, str] = {}
    province = ""
    for line in files(__package__).joinpath("regions_cn.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        words = iter(line.split())
        for digits, name in zip(words, words, strict=True):
            if not line.startswith(" "):
                province = digits
            table[f"{digits}0000" if not line.startswith(" ") else f"{province}{digits}00"] = name
    return table
