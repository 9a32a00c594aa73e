"""Dead letters written, each until it is acknowledged: whole where the topic takes it, else shortened.

A broker that refuses one for its size (a topic with a lesser `max.message.bytes` than ours has) gets the next form of
it (`stream.model.dead_letters`). One whose reason alone is refused is logged and left: nothing may stop for it.
"""

from collections.abc import Sequence
from typing import Final

from stream import logs
from stream.config import Config
from stream.kafka.durable import DurableProducer, Produced
from stream.model.dead_letters import DeadLetter, LetterRecord, forms_of
from stream.model.topics import DEAD_LETTER

log = logs.get(__name__)

TOGETHER: Final = 500
"""Written at a time: a record batch may hold 131,072 that cannot be used, and to make all their letters before the loop
turns again would keep a worker from all else for seconds."""


class DeadLetterWriter:
    """Writes to `dead-letter` with a producer of its own, which it makes when there is the first; `stop` at the end."""

    def __init__(self, config: Config, *, client: str) -> None:
        self._producer = DurableProducer(config, client=f"{client}-dead-letter")
        self._throttle = logs.Throttle()

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when all are acknowledged. Waits for a broker without a bound; raises after `stop` alone."""
        for first in range(0, len(letters), TOGETHER):
            await self._write(letters[first : first + TOGETHER])

    async def _write(self, letters: Sequence[DeadLetter]) -> None:
        left = [(letter, forms_of(letter)) for letter in letters]
        while left:
            here = [(letter, forms, form) for letter, forms in left if (form := next(forms, None)) is not None]
            if len(here) < len(left):
                self._log_given_up(len(left) - len(here))
            refused = await self._producer.write([_produced(form) for _, _, form in here])
            left = [(here[place][0], here[place][1]) for place in refused]

    async def stop(self) -> None:
        """Write no more."""
        await self._producer.close()

    def _log_given_up(self, count: int) -> None:
        if (held_back := self._throttle.now()) is not None:
            log.error(
                "dead letters are refused however short they are, and lost: raise max.message.bytes of dead-letter",
                letters_count=count,
                held_back=held_back,
            )


def _produced(form: LetterRecord) -> Produced:
    return Produced(DEAD_LETTER, form.key, form.value, partition=0, headers=form.headers)
