"""Each login by the password of that moment: aiokafka's clients keep the text that they were made with.

A `PresentPassword` goes through aiokafka, and through Faust, as the text that it is. A connection that is made looks
whether its password is one, and logs in with what it is now.
"""

from collections.abc import Callable
from typing import Self

from aiokafka.conn import AIOKafkaConnection


class PresentPassword(str):
    """A password, and how it is asked for again."""

    __slots__ = ("present",)
    present: Callable[[], str]

    def __new__(cls, present: Callable[[], str]) -> Self:
        """The text is what it is now."""
        made = super().__new__(cls, present())
        made.present = present
        return made


_handshake = AIOKafkaConnection._do_sasl_handshake  # noqa: SLF001


async def _handshake_now(connection: AIOKafkaConnection) -> None:
    password = connection._sasl_plain_password  # noqa: SLF001
    if isinstance(password, PresentPassword):
        connection._sasl_plain_password = password.present()  # noqa: SLF001
    await _handshake(connection)


def install() -> None:
    """Let every connection of this process log in so. Once is enough; again does no harm."""
    AIOKafkaConnection._do_sasl_handshake = _handshake_now  # noqa: SLF001
