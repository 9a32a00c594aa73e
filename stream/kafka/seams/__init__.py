"""Where we reach into aiokafka: whole record batches in, whole record batches out. Here and nowhere else.

The names used are private, and so the client is pinned to the version they were read in. `incoming` and `outgoing`
each look, before they are used, whether what they reach for is there (`misfit`); where it is not, whoever asks takes
aiokafka's public way instead, which gives the same records at a higher price.

`bounded` replaces the decoders of compressed batches by ones that have a bound; it is always on, and a test reads
bombs by it.

`logins` lets each connection log in with the password as its file has it then; always on as well.

`membership` keeps a static member that was replaced from joining again.

What stays aiokafka's: connections, groups, offsets, transactions, the order and repetition of requests, checksums
on reading. What the seams never do: keep a position of their own, skip a record, change one (but for a batch
beyond the bound, which one record stands for).
"""

from importlib.metadata import version
from typing import Final

from stream.kafka.seams import incoming, outgoing

AIOKAFKA: Final = "0.14.0"
"""The version whose private names these are: the one that `pyproject.toml` pins."""


def misfit() -> str | None:
    """Why raw batches cannot pass with the aiokafka that is installed, or None. Looks, and changes nothing."""
    installed = version("aiokafka")
    if installed != AIOKAFKA:
        return f"aiokafka is {installed}, the seams were made for {AIOKAFKA}"
    return incoming.misfit() or outgoing.misfit()
