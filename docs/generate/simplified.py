"""Write `stream/policy/simplified.txt`: which traditional character is read as which simplified one.

The mapping is OpenCC's `t2s` (Apache-2.0), taken character by character: a filter must read a text the same way
whatever stands around a character. Run it only to change the table, and change the policy's version with it:
texts are then read otherwise.
"""

from itertools import chain
from pathlib import Path

import opencc  # type: ignore[import-untyped]

HAN_BLOCKS = (range(0x3400, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x31350))
TABLE = Path(__file__).parents[2] / "stream/policy/simplified.txt"


def main() -> None:
    """Rewrite the table and say how many characters it has."""
    convert = opencc.OpenCC("t2s").convert
    pairs = [(c, convert(c)) for c in map(chr, chain.from_iterable(HAN_BLOCKS))]
    changed = [(traditional, simplified) for traditional, simplified in pairs if traditional != simplified]
    assert all(len(simplified) == 1 for _, simplified in changed)
    lines = (
        "# Made by docs/generate/simplified.py from OpenCC's t2s table (Apache-2.0).",
        *map("".join, zip(*changed, strict=True)),
    )
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TABLE.name}: {len(changed)} characters")


if __name__ == "__main__":
    main()
