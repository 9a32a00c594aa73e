"""What the registry asks of whoever reads numbers: the policy's `Numbering` answers, and nothing here imports it."""

from typing import Protocol


class NumberKinds(Protocol):
    """Numbers by a policy's patterns (`stream.policy.numbering.Numbering`)."""

    @property
    def plus_country(self) -> str:
        """What the numbers of the policy's country begin with."""

    def read(self, text: str, /) -> str:
        """The number that a text means (DESIGN section 4, steps 1 to 4)."""

    def read_port(self, text: str, /) -> str:
        """The same on the sender's side of an SMS."""

    def registrable(self, text: str) -> str | None:
        """The person's number that a text means, as it is registered; None where it means none."""

    def kind(self, number: str) -> str:
        """The kind of a recipient by its number as read; `other` where it is nobody's."""

    def source(self, number: str | None, *, internet: bool) -> str:
        """The kind of the number that an event comes from, as read; `missing` or `malformed` where it is none."""
