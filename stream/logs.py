"""Logs: one JSON line per event of operation, or readable lines on a terminal. Never per SMS, never a number.

What is logged are anomalies and changes of state, rate limited where a fault could repeat. Numbers of subscribers
appear only masked (`bloom.number.masked`), and only where an operator needs them.
"""

import logging
import sys
import time

import structlog

Log = structlog.stdlib.BoundLogger


def configure(*, verbose: bool = False) -> None:
    """Send structlog and the libraries' logs to stderr: JSON, or plain lines on a terminal."""
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("aiokafka", "aiohttp.access", "asyncio", "faust"):
        # aiokafka logs full records and member lists at INFO; what matters of it is logged here in our words.
        logging.getLogger(chatty).setLevel(logging.DEBUG if verbose else logging.WARNING)


def get(name: str) -> Log:
    """The logger of one part."""
    log: Log = structlog.stdlib.get_logger(name)
    return log


class Seldom:
    """Lets a message through at most once per interval, and tells how many were held back."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._next = 0.0
        self._held_back = 0

    def now(self) -> int | None:
        """The number of messages held back since the last, or None: hold this one back too."""
        moment = time.monotonic()
        if moment < self._next:
            self._held_back += 1
            return None
        held_back, self._held_back = self._held_back, 0
        self._next = moment + self._every_s
        return held_back
