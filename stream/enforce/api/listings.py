"""The bad-actor list (Article 36) as it is asked for: its entries in force, or all there have been.

Pure. The register is the topic `listings`, which is asked as it stands; the cases behind it say why.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from stream.enforce.api import request_parsing
from stream.enforce.api.auth import Caller
from stream.enforce.api.responses import Fault, ListingPage, faulty, forbidden
from stream.enforce.api.search import PARTY_MEND, PARTY_NEEDED, is_party, party_as_kept
from stream.enforce.api.shown import shown_party
from stream.model.control import Listing, party_key
from stream.policy.numbering import Numbering

PAGE_MAX = 500


class ListingQuery(msgspec.Struct, frozen=True):
    """Which entries: of a party (`sender|…`, `number|…`); `ended`: also those that are over.

    `after`: the id of the last entry of the page before.
    """

    party: str | None = None
    ended: bool = False
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 50


def page(
    entries: Iterable[Listing], stated: Mapping[str, str], *, caller: Caller, now: int, numbering: Numbering
) -> ListingPage:
    """The entries that are asked for, by id. Raises `Problem`: 400 with all faults of the question, 403 to who is shown
    numbers masked and asks for one.
    """
    query = request_parsing.query(stated, ListingQuery)
    if query.party and not is_party(query.party):
        raise faulty(Fault("party", PARTY_NEEDED, PARTY_MEND))
    if query.party and query.party.startswith("number|") and caller.role == "read-only":
        raise forbidden("a read-only sees no numbers whole, and searches by none: leave out party")
    party = party_as_kept(query.party, numbering) if query.party is not None else None
    found = sorted(
        (
            one
            for one in entries
            if (query.ended or one.from_ <= now < one.until)
            and party in (None, party_key(one.party))
            and (query.after is None or one.listing > query.after)
        ),
        key=lambda one: one.listing,
    )
    shown = tuple(
        msgspec.structs.replace(one, party=shown_party(one.party, caller) or one.party) for one in found[: query.limit]
    )
    return ListingPage(shown, shown[-1].listing if len(found) > query.limit else None)
