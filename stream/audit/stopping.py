"""Work that stops when it is asked to, also while it waits for a broker."""

import asyncio
from collections.abc import Coroutine

from stream.kafka.clients import GOODBYE_S_MAX


async def until_stopped(work: Coroutine[object, object, None], stopping: asyncio.Event) -> None:
    """Work until it ends by itself, or `stopping` is set; then at most `GOODBYE_S_MAX` longer. Raises what the work
    raised.
    """
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=GOODBYE_S_MAX)
        if task.done():
            task.result()
    finally:
        for one in (task, stop):
            one.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)
