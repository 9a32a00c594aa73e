"""What a decision's `basis` stands for: the article, whether it is known from its text, and the duty in a line.

After REGULATION: Articles 22 to 42 of the draft are known from their text; of Articles 1 to 21 only public reports are,
and an article that rests on a report alone is marked so wherever it is shown.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty: its articles, the line, and whether the article's number rests on reports alone."""

    articles: str
    line: str
    reported: bool = False

    @property
    def cited(self) -> str:
        """The articles as documents show them."""
        return f"{self.articles} *reported*" if self.reported else self.articles


DUTIES: Final[dict[str, Duty]] = {
    "number-use": Duty(
        "10–12", "the sending number is there, has its approved form, and is neither altered nor spoofed", reported=True
    ),
    "licence": Duty("6", "no access and no numbers for those without a licence", reported=True),
    "prohibited-content": Duty("15 *reported*, 32", "content that the law prohibits stops at once"),
    "consent": Duty("16", "no commercial SMS or call without consent; silence is refusal", reported=True),
    "identity": Duty(
        "18", "port-type commercial SMS names the organisation behind it and its contact phone", reported=True
    ),
    "opt-out": Duty("18", "… and tells an easy way to refuse, which works", reported=True),
    "port-purpose": Duty(
        "19", "a service port sends no commercial SMS; service SMS is not restricted without reason", reported=True
    ),
    "platform-call": Duty("20", "no platform-type commercial calls", reported=True),
    "measures": Duty("22", "whoever finds a violator stops it; the party is notified, and may appeal"),
    "decline-calls": Duty("23", "users' refusals of commercial calls are registered and kept"),
    "emergency": Duty("25, 26", "emergency public-interest SMS goes out first; its paperwork follows"),
    "public-interest": Duty("27", "public-interest SMS is applied for, and sent as it was approved"),
    "regulator-order": Duty("37", "the regulator may order the measures of Article 22"),
}
"""basis → duty, for every basis that a rule or an order can give."""
