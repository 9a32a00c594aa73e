"""Which column of a table is which: by the names in its header, or because the operator says so.

Nothing is guessed: a column is known by a name that stands in the list below, in Chinese or English, or that the
operator gives, by name or by place. Where neither is so, the error lists the columns.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stream.feed.csv_rows import SEPARATORS, split
from stream.feed.text_files import BulkFileError
from stream.model.nfkc import nfkc

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "subscriber": (
        "subscriber", "number", "phone", "phone number", "mobile", "mobile number", "mobile phone", "msisdn", "tel",
        "telephone", "telephone number", "cell", "cell phone", "手机", "手机号", "手机号码", "手机号码1", "电话",
        "电话号码", "联系电话", "联系方式", "联系号码", "号码", "移动电话", "用户号码", "用户手机", "用户手机号",
        "客户电话", "客户号码", "客户手机", "客户手机号",
    ),
    "channel": ("channel", "渠道", "通道"),
    "will": ("will", "意愿"),
    "time": (
        "time", "date", "datetime", "date time", "timestamp", "时间", "日期", "时间戳", "登记时间", "登记日期",
        "退订时间", "拒收时间", "同意时间", "授权时间",
    ),
    "source": ("source", "来源", "数据来源"),
    "sender": ("sender", "发送方", "发送者", "发送单位"),
    "category": ("category", "类别", "行业", "业务类别"),
    "evidence": ("evidence", "证据", "凭证"),
    "actor": ("actor", "经办人", "操作员", "操作人", "登记人"),
}  # fmt: skip
"""A column of ours → the names under which files have it. Case, spaces, `_` and `-` do not count."""

NUMBER: Final = "subscriber"
IGNORED: Final = "-"
"""In `--map`: the column is not to be read."""

_MISSPELT: Final = 0.8
"""So alike to a column of ours, and none, a name is not passed over: it may have been meant."""
_DIGITS_FEW: Final = 3
"""What has fewer digits is no number of any kind, so it may be a column's name; so may what has letters, ..."""
_DIGITS_MANY: Final = 7
"""... unless it has as many digits as a telephone."""
_BY_COLUMN: Final = "name the one with the numbers by --column, its name or its place"


@dataclass(frozen=True, slots=True)
class ColumnFinder:
    """What the operator says of the columns, and how they are found by it."""

    file: str
    asked: Sequence[str]
    column: str | None
    mapped: Mapping[str, str]

    def separator(self, line: str) -> str:
        """The separator of the first line; empty where it is one cell."""
        there = [separator for separator in SEPARATORS if separator in line and len(_split(line, separator)) > 1]
        if len(there) > 1:
            # `id,name;mobile`: the one between whose marks a column that is known stands, if only one does so.
            there = [separator for separator in there if self._named(_split(line, separator))]
            if len(there) != 1:
                raise BulkFileError(
                    f"{self.file}: the first line has several separators, {line[:200]!r}: put a line `sep=;` (or the "
                    "one that is meant) before it"
                )
        if not there and "|" in line:
            raise BulkFileError(
                f"{self.file}: the first line has `|` and no separator that is read without being named: if it is one, "
                "put a line `sep=|` before it"
            )
        return there[0] if there else ""

    def ignored(self, cells: Sequence[str]) -> frozenset[int]:
        """The places that the operator does not want read."""
        unwanted = {_plain(theirs) for theirs, ours in self.mapped.items() if ours == IGNORED}
        return frozenset(place for place, cell in enumerate(cells) if _plain(cell) in unwanted)

    def places(self, cells: Sequence[str]) -> tuple[dict[str, int], bool]:
        """Where the columns of ours are, and whether the first line is a header."""
        place = self._place(cells)
        if place is not None:
            if not 0 <= place < len(cells):
                raise self._error(f"no column {self.column}: count from 1", cells)
            if _like_a_number(cells[place]):
                return {NUMBER: place}, False
        found = self._named(cells)
        if place is not None:
            found = {ours: other for ours, other in found.items() if other != place} | {NUMBER: place}
        elif self.column is not None and NUMBER not in found:
            raise self._error(f"no column {self.column!r}", cells)
        absent = [theirs for theirs in self.mapped if _plain(theirs) not in set(map(_plain, cells))]
        if absent:
            raise self._error(f"no column {absent[0]!r}, which --map names", cells, mend="name one of them by --map")
        if NUMBER in found:
            return found, True
        if len(cells) == 1 and _like_a_number(cells[0]):
            return {NUMBER: 0}, False
        raise self._error("no column is named as one with numbers usually is", cells)

    def _place(self, cells: Sequence[str]) -> int | None:
        """The place of the numbers from 0, where the operator counted; None where he named their column, or nothing."""
        if self.column is None or not self.column.isdecimal() or _plain(self.column) in map(_plain, cells):
            return None
        return int(self.column) - 1

    def _named(self, cells: Sequence[str]) -> dict[str, int]:
        """Column of ours → place, by the names in the first line."""
        found: dict[str, int] = {}
        wanted = {_plain(theirs): ours for theirs, ours in self.mapped.items()}
        if self.column is not None:
            wanted[_plain(self.column)] = NUMBER
        stated = {NUMBER, *wanted.values()} if self.column is not None else set(wanted.values())
        for place, cell in enumerate(cells):
            ours = wanted.get(_plain(cell))
            if ours is None and (known := _KNOWN.get(_plain(cell))) not in stated:
                ours = known
            if ours is None or ours == IGNORED or ours not in self.asked:
                self._see_to_spelling(cell, ours, cells)
                continue
            if ours in found:
                raise self._error(
                    f"the columns {cells[found[ours]]!r} and {cell!r} both name the {ours}",
                    cells,
                    mend=f"say --map {cell}={IGNORED} to leave one out",
                )
            found[ours] = place
        return found

    def _see_to_spelling(self, cell: str, ours: str | None, cells: Sequence[str]) -> None:
        if ours is not None or _plain(cell) in _KNOWN or len(self.asked) == 1:
            return
        alike = difflib.get_close_matches(_plain(cell), self.asked, n=1, cutoff=_MISSPELT)
        if alike:
            raise self._error(
                f"the column {cell!r} is none, and nearly {alike[0]!r}",
                cells,
                mend=f"say --map {cell}={alike[0]}, or --map {cell}={IGNORED} to leave it out",
            )

    def _error(self, what: str, cells: Sequence[str], *, mend: str = _BY_COLUMN) -> BulkFileError:
        listed = ", ".join(f"{place} {cell.strip()[:40]!r}" for place, cell in enumerate(cells, start=1))
        return BulkFileError(f"{self.file}: {what}; the first line has the columns {listed}: {mend}")


def _split(line: str, separator: str) -> list[str]:
    try:
        return split(line, separator)
    except ValueError:
        return [line]


def _plain(name: str) -> str:
    """A column's name as names are compared."""
    folded = nfkc(name).casefold()
    return "".join(c for c in folded if c.isalnum())


def _like_a_number(cell: str) -> bool:
    plain = nfkc(cell)
    digits = sum(c in "0123456789" for c in plain)
    return digits >= _DIGITS_FEW and (digits >= _DIGITS_MANY or not any(c.isalpha() for c in plain))


_KNOWN: Final = {_plain(theirs): ours for ours, names in NAMES.items() for theirs in names}
