"""Closing clients within a bound, whatever state their broker is in.

aiokafka's `stop` waits for what is on its way, for as long as that takes (its issue 773), and where it is cancelled it
leaves its tasks behind: a member that goes on asking to be let into its group, a producer that writes an old record
after a newer one. So what does not close in time is cut off here, by names of aiokafka's that are private; where they
are not what we know, that client is left to the end of its loop.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from aiokafka.client import AIOKafkaClient

from stream import logs
from stream.kafka.clients import GOODBYE_S_MAX

log = logs.get(__name__)

T = TypeVar("T")

CUT_S_MAX: Final = 1.0
"""How long the sockets of a client that was cut off may take."""

_PARTS: Final = ("_sender", "_message_accumulator", "_coordinator", "_fetcher", "client", "_client")
"""Of which aiokafka makes its producers and consumers. What they do beside their callers are tasks of their methods."""


class Closable(Protocol):
    """A client, or whatever else is stopped once and then done with."""

    async def stop(self) -> None:
        """Close it."""


async def close_within(*closables: Closable, within_s: float = GOODBYE_S_MAX) -> None:
    """Close these, all at once and within one bound. What fails or takes longer is logged, and cut off.

    Never raises, so that one's trouble keeps no other from closing; cancelled, it cuts off at once.
    """
    closing = {asyncio.ensure_future(one.stop()): one for one in closables}
    if not closing:
        return
    try:
        await asyncio.wait(closing, timeout=within_s)
    finally:
        left: list[Closable] = []
        for task, one in closing.items():
            if not task.done():
                task.cancel()
                log.warning("client did not close in time; aborted", client=type(one).__name__, bound_s=within_s)
            elif task.cancelled() or task.exception() is None:
                continue
            else:
                log.warning("client failed to close; aborted", client=type(one).__name__, error=repr(task.exception()))
            left.append(one)
        await asyncio.gather(*(_cut(one) for one in left))


async def work_until(
    stop: asyncio.Event, work: Coroutine[object, object, object], *, within_s: float = GOODBYE_S_MAX
) -> None:
    """Do this work, which looks at `stop` and ends in order, but does not see it while it waits for a broker.

    So where it has not ended `within_s` seconds after that it is cancelled, whatever it waits for. What must be done
    then, too, stands in its `finally`, bounded. Raises what the work failed of.
    """
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((working,), timeout=within_s)
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.gather(stopping, working, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def work_beside(work: Coroutine[object, object, T], watch: Coroutine[object, object, object]) -> T:
    """Do this work while `watch` watches: where that fails, the work is cancelled and the failure raised."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(watch)
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        return await working
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _cut(client: Closable) -> None:
    parts = [part for name in _PARTS if (part := getattr(client, name, None)) is not None]
    for task in asyncio.all_tasks():
        if any(_does(task) is part for part in parts):
            task.cancel()
    for network in parts:
        if isinstance(network, AIOKafkaClient):
            with suppress(Exception):  # it is being thrown away
                async with asyncio.timeout(CUT_S_MAX):
                    await network.close()


def _does(task: asyncio.Task[object]) -> object:
    """Whose method a task runs; None where that cannot be seen."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame.f_locals.get("self") if frame is not None else None
