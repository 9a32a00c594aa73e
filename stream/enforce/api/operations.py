"""The API as a table: path, who may, what it takes, what it answers. Routes and OpenAPI are made from it.

Pure. A row that is not here is not served, and what is served is documented.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import msgspec

from stream.enforce.api import acts, auth, filings, intake, orders
from stream.enforce.api.api_request import ApiRequest, ConditionalWrite, Expressed, OrderWrite, SendersWrite, Write
from stream.enforce.api.auth import Role
from stream.enforce.api.letters_shown import LetterQuery, LetterShown
from stream.enforce.api.listings import ListingQuery
from stream.enforce.api.registry_reads import OwnerQuery
from stream.enforce.api.responses import Accepted, CasePage, CaseShown, ListingPage
from stream.enforce.api.search import CaseQuery
from stream.enforce.api.statistics import MonthQuery, MonthStatistics
from stream.enforce.api.subscriber_file import Erased, SubscriberFile
from stream.enforce.api.subscribers import Reasoned
from stream.model.control import Appeal, Complaint, Direction, Dispute, Filing, Finding, Punishment
from stream.model.registry import Expression
from stream.model.requests import OwnerRecord, SenderHistory, SubscriberRecord

OFFICES: Final[tuple[Role, ...]] = ("desk", "regulator")
EVERYBODY: Final[tuple[Role, ...]] = get_args(Role)
COUNTING: Final[tuple[Role, ...]] = (*auth.OFFICES, "read-only")
FOR_A_USER: Final[tuple[Role, ...]] = ("desk", "subscriber-agent")
COMPLAINED_TO: Final[tuple[Role, ...]] = ("centre", *FOR_A_USER)
DISPUTED_TO: Final[tuple[Role, ...]] = ("appeals-body", *FOR_A_USER)


@dataclass(frozen=True, slots=True)
class WriteOperation:
    """An operation that becomes one record. `made` are fields of `body` that the API sets; `preset` those
    that it fills in where they are absent.
    """

    name: str
    path: str
    roles: tuple[Role, ...]
    make: Callable[[ApiRequest], Write | Expressed | ConditionalWrite | SendersWrite | OrderWrite]
    body: type[msgspec.Struct] | None
    """None: the acts of `permissions.ACTS`"""
    made: tuple[str, ...] = ()
    preset: tuple[str, ...] = ()
    answer: type[msgspec.Struct] = Accepted

    @property
    def summary(self) -> str:
        """Its sentence."""
        return (self.make.__doc__ or "").strip()


@dataclass(frozen=True, slots=True)
class ReadOperation:
    """An operation that changes nothing."""

    name: Literal[
        "list-cases",
        "show-case",
        "list-listings",
        "count-month",
        "export-subscriber",
        "show-subscriber",
        "show-owner",
        "show-sender",
        "show-letter",
    ]
    path: str
    summary: str
    answer: type[msgspec.Struct]
    roles: tuple[Role, ...] = EVERYBODY
    query: type[msgspec.Struct] | None = None


@dataclass(frozen=True, slots=True)
class ErasureOperation:
    """What erases one person's records, as far as no duty keeps them; done when it is answered."""

    name: Literal["erase-subscriber"]
    path: str
    summary: str
    body: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    roles: tuple[Role, ...]


_MADE: Final = ("time", "actor")

# fmt: off
WRITINGS: Final[tuple[WriteOperation, ...]] = (
    WriteOperation("file-complaint", "/v1/complaints", COMPLAINED_TO, intake.complain, Complaint,
            ("complaint", "owner", *_MADE)),
    WriteOperation("complete-complaint", "/v1/complaints/{case}", COMPLAINED_TO, intake.complete_complaint,
            Complaint, ("complaint", "owner", *_MADE)),
    WriteOperation("file-dispute", "/v1/disputes", DISPUTED_TO, intake.dispute, Dispute, ("dispute", *_MADE),
            ("party",)),
    WriteOperation("file-appeal", "/v1/appeals", ("desk", "sender"), intake.file_appeal, Appeal, ("appeal", *_MADE),
            ("party",)),
    WriteOperation("file-campaign", "/v1/filings", (*OFFICES, "sender"), filings.file_campaign, Filing,
            ("filing", *_MADE)),
    WriteOperation("complete-campaign", "/v1/filings/{case}", (*OFFICES, "sender"), filings.complete_campaign, Filing,
            ("filing", *_MADE)),
    WriteOperation("express", "/v1/expressions", FOR_A_USER, intake.express, Expression, ("actor",), ("time",)),
    WriteOperation("find", "/v1/findings", OFFICES, intake.find, Finding, ("finding", "basis", *_MADE)),
    WriteOperation("direct", "/v1/directions", ("regulator",), intake.direct, Direction,
            ("direction", "region", *_MADE)),
    WriteOperation("complete-direction", "/v1/directions/{case}", ("regulator",), intake.complete_direction, Direction,
            ("direction", "region", *_MADE), ("party", "measure")),
    WriteOperation("punish", "/v1/punishments", ("regulator",), intake.punish, Punishment,
            ("punishment", "region", *_MADE)),
    WriteOperation("end-order", "/v1/orders", OFFICES, orders.end, orders.OrderEnd),
    WriteOperation("decide", "/v1/cases/{case}/events", tuple(role for role in EVERYBODY if role != "read-only"),
            acts.decide, None),
)

READINGS: Final[tuple[ReadOperation, ...]] = (
    ReadOperation("list-cases", "/v1/cases", "The cases that this caller may see, the first due first.", CasePage,
            query=CaseQuery),
    ReadOperation("show-case", "/v1/cases/{case}", "A case whole, with what this caller may do to it now.", CaseShown),
    ReadOperation("list-listings", "/v1/listings", "The bad-actor list (Article 36): the entries in force, or all.",
            ListingPage, query=ListingQuery),
    ReadOperation("count-month", "/v1/statistics", "What is counted of a month, as the caller's body sees cases.",
            MonthStatistics, COUNTING, MonthQuery),
    ReadOperation("show-subscriber", "/v1/subscribers/{number}",
            "What one person said, in order of receipt, and which of it counts. It is recorded, with the `reason`.",
            SubscriberRecord, FOR_A_USER, Reasoned),
    ReadOperation("show-owner", "/v1/numbers/{number}", "Whose a sending number is on a channel, or was at a moment.",
            OwnerRecord, COUNTING, OwnerQuery),
    ReadOperation("show-sender", "/v1/senders/{sender}", "A sender's records, one after another.", SenderHistory,
            COUNTING),
    ReadOperation("export-subscriber", "/v1/subscribers/{number}/file",
            "All that is kept of one person, and what is kept elsewhere, on what duty and until when. It is recorded, "
            "with the `reason`.", SubscriberFile, FOR_A_USER, Reasoned),
    ReadOperation("show-letter", "/v1/cases/{case}/letter", "What a case told somebody, as a letter in Chinese.",
            LetterShown, query=LetterQuery),
)

ERASURE: Final = ErasureOperation("erase-subscriber", "/v1/subscribers/{number}/erasure",
        "What is kept of one person is erased, in the registry and in cases, as far as no duty keeps it; what stays is "
        "named, with the duty and until when. That it happened is recorded, and not of whom.",
        Reasoned, Erased, FOR_A_USER)
# fmt: on
