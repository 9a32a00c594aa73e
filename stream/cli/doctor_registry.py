"""What `wurao doctor` finds in the senders' records: numbers that two of them claim, prefixes that own nothing."""

from stream.cli.check_results import CheckResult, ok, warn
from stream.policy.settings import Policy
from stream.registry import claims, prefixes
from stream.registry.registry import Registry

SHOWN_MAX = 10
"""Of each kind so many are named; the count is of all."""


def checks(registry: Registry, policy: Policy) -> list[CheckResult]:
    """One line for all senders, or one for each kind of what is to be looked at."""
    found = []
    clashes = [f"{clash.sender}: {clash}" for clash in claims.clashes(registry)]
    if clashes:
        found.append(
            warn(
                "senders",
                f"{len(clashes):,} prefixes of one sender equal or lie inside another's: {_shown(clashes)}",
                "where it is no part of a provider's range, write the record of whoever gave the number up without it",
            )
        )
    unfit = [
        f"{record.sender}: {problem}"
        for record in registry.senders.values()
        for entry in record.numbers
        if (problem := prefixes.problem(entry.prefix, entry.channel, policy.numbering)) is not None
    ]
    if unfit:
        found.append(
            warn(
                "senders",
                f"{len(unfit):,} prefixes own nothing: {_shown(unfit)}",
                "write these records again with the prefix as numbers are read",
            )
        )
    return found or [ok("senders", f"{len(registry.senders):,} registered, none claims another's numbers")]


def _shown(problems: list[str]) -> str:
    return "; ".join(problems[:SHOWN_MAX]) + ("; …" if len(problems) > SHOWN_MAX else "")
