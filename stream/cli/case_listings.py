"""`wurao case listings`: the bad-actor list (Article 36)."""

import argparse
import sys

import msgspec

from stream.cli.case_client import Client, time_text, with_client
from stream.cli.common import add_config, add_json, given_or_read
from stream.enforce.api.responses import ListingPage


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    listings = verbs.add_parser(
        "listings", help="list who is on the bad-actor list", description="Lists the entries of the bad-actor list."
    )
    listings.add_argument("--party", metavar="KEY", help="sender|ORG-9 or number|+86…; `-` reads it")
    listings.add_argument("--ended", action="store_true", help="also entries that are over")
    listings.add_argument("--limit", metavar="N", type=int, default=50, help="lines of a page (default: 50)")
    listings.add_argument("--after", metavar="TEXT", help="the next page, as the last one named it")
    add_config(listings)
    add_json(listings)
    listings.set_defaults(run=with_client(_list))


async def _list(client: Client, arguments: argparse.Namespace) -> int:
    asked = {
        "party": given_or_read(arguments.party or ""),
        "ended": "true" if arguments.ended else None,
        "limit": str(arguments.limit),
        "after": arguments.after,
    }
    body = await client.ask("/v1/listings", query={name: value for name, value in asked.items() if value})
    if arguments.json:
        print(body.decode())
        return 0
    page = msgspec.json.decode(body, type=ListingPage)
    print("FROM              UNTIL             DOCUMENT          PARTY")
    for one in page.listings:
        party = one.party.sender or one.party.number
        print(f"{time_text(one.from_)}  {time_text(one.until)}  {one.document:<16}  {party}")
    if page.after:
        print(f"more: --after {page.after}", file=sys.stderr)
    return 0
