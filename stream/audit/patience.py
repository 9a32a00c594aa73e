"""Asking brokers that may be away again and again, until they answer or there is no more time.

That they are away is told elsewhere (`kafka.brokers`), once for all clients of a process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError

from stream import logs
from stream.kafka.clients import GOODBYE_S_MAX, KafkaConnectionError, KafkaError

log = logs.get(__name__)

Answer = TypeVar("Answer")

PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 5.0
TOLD_EVERY_S: Final = 60.0

_AWAY: Final = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, OSError)


async def until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer, whenever it comes. Raises what asking again does not mend: a right that is missing, offsets gone."""
    pause, seldom = PAUSE_S, logs.Seldom(TOLD_EVERY_S)
    while True:
        try:
            return await ask()
        except _AWAY:
            pass
        except KafkaError as error:
            if not error.retriable:
                raise
            if (held_back := seldom.now()) is not None:
                log.warning(
                    "brokers give no answer to what was asked; asking again", why=repr(error), held_back=held_back
                )
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_S_MAX)


async def until_stopped(work: Coroutine[object, object, None], stopping: asyncio.Event) -> None:
    """Work until it ends by itself, or `stopping` is set and it has not ended within the bound that then holds."""
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
