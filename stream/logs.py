"""Logs: one JSON line per event of operation, or readable lines on a terminal. Never per SMS, never a number.

What is logged are anomalies and changes of state, rate limited where a fault could repeat. Numbers of subscribers
appear only masked (`bloom.number.masked`), and only where an operator needs them. Whoever logs, all goes through one
filter: what may be a number or a secret becomes stars, exceptions keep neither what they quote nor lines of data, and
of libraries' messages all that is quoted goes. So does what Python prints of an exception that nobody has caught.

Libraries know no such limits: aiokafka complains some 2,600 times a second while no broker answers. Of each kind of
their messages the first is let through, and then one in `LIBRARY_EVERY_S`, with the number of those held back. Their
tracebacks become one field each, and Python's warnings are messages like others: what is read is JSON to the last line.
"""

import logging
import sys
import threading
import time
import traceback
from collections import defaultdict
from types import TracebackType
from typing import Final

import structlog

from stream.model.hiding import hidden, without_quoted

Log = structlog.stdlib.BoundLogger

LIBRARY_EVERY_S: Final = 30.0
"""How often a library may say the same."""

CONNECTION_LOST: Final = (
    "Unable connect to",
    "Unable to request metadata",
    "Unable to update metadata",
    "Failed fetch messages from",
    "Failed fetch offsets from",
    "Error sending %s to node",
    "Marking the coordinator dead",
    "Group Coordinator Request failed",
    "Heartbeat send request failed",
    "Heartbeat failed for group %s: coordinator",
    "Heartbeat session expired",
)
"""How the templates begin by which aiokafka says that a broker does not answer: of one kind, for it is one event."""

KINDS_MAX: Final = 500
"""Kinds that are known at once: a library that puts values into its templates would otherwise fill the memory."""

KIND_CHARACTERS_MAX: Final = 200
"""Of a template, by which a kind is known: one that a library has formatted holds whatever a stranger sent."""


def configure(*, verbose: bool = False) -> None:
    """Send structlog and the libraries' logs to stderr: JSON, or plain lines on a terminal."""
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_traceback_text),
        _without_numbers_and_secrets,
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
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=("held_back", "error", "at")), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(FewOfAKind(tracebacks=verbose))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # else what cannot be logged is printed, with its arguments
    threading.excepthook = _log_thread_failure
    sys.excepthook = _log_end
    for chatty in ("aiokafka", "aiohttp.access", "asyncio", "faust", "mode"):
        # aiokafka logs full records and member lists at INFO; what matters of it is logged here in our words.
        logging.getLogger(chatty).setLevel(logging.DEBUG if verbose else logging.WARNING)


def _log_thread_failure(died: threading.ExceptHookArgs) -> None:
    """Python would print it: Faust's consumer, which is a thread, so ends where its broker has gone."""
    if died.exc_value is not None:
        raised = (died.exc_type, died.exc_value, died.exc_traceback)
        logging.getLogger("py.threads").error("a thread has ended by an exception", exc_info=raised)


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python would print it, with whatever stands in it."""
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("stream").critical("the process ends by a fault of the program", exc_info=(kind, error, trace))


def get(name: str) -> Log:
    """The logger of one part."""
    log: Log = structlog.stdlib.get_logger(name)
    return log


class Throttle:
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


class FewOfAKind(logging.Filter):
    """Lets the first message of a kind through, and then one in `every_s`, which says how many were held back.

    Of libraries' messages only; a kind is a template (not what is put into it) of one logger and level, or all those by
    which aiokafka says that a broker does not answer. An exception is given in the fields `error` and `at`, unless
    `tracebacks` are wanted.
    """

    def __init__(self, *, every_s: float = LIBRARY_EVERY_S, tracebacks: bool = False) -> None:
        super().__init__()
        self._every_s = every_s
        self._tracebacks = tracebacks
        self._throttles: defaultdict[tuple[str, int, str], Throttle] = defaultdict(lambda: Throttle(every_s))

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message goes out."""
        if not is_of_library(record.name):
            return True
        if len(self._throttles) >= KINDS_MAX:
            self._throttles.clear()
        held_back = self._throttles[_kind(record)].now()
        if held_back is None:
            return False
        if held_back:
            record.held_back = held_back
        # What a stranger sent may stand in the template too: libraries format before they log.
        record.msg, record.args = without_quoted(_message(record)), ()
        if not self._tracebacks:
            _shorten(record)
        return True


def is_of_library(name: str) -> bool:
    """Whether a logger is one that others write to: all but ours."""
    return name.partition(".")[0] not in ("stream", "loadtest")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} (its arguments do not fit)"


def _kind(record: logging.LogRecord) -> tuple[str, int, str]:
    template = str(record.msg)[:KIND_CHARACTERS_MAX]
    if record.name.startswith("aiokafka") and template.startswith(CONNECTION_LOST):
        return "aiokafka", 0, CONNECTION_LOST[0]
    # Python hands each of its warnings over as a whole, under one template.
    return (
        record.name,
        record.levelno,
        _message(record)[:KIND_CHARACTERS_MAX] if record.name == "py.warnings" else template,
    )


def _shorten(record: logging.LogRecord) -> None:
    """Say what a traceback says in two fields: the exceptions, first cause last, and where the last one was raised."""
    error = record.exc_info[1] if record.exc_info else None
    record.exc_info = record.exc_text = record.stack_info = None
    if error is None:
        return
    record.error = _chain_text(error, by_name=record.name.startswith("aiohttp"))
    if frames := traceback.extract_tb(error.__traceback__):
        record.at = f"{frames[-1].filename}:{frames[-1].lineno}"


def _chain_text(error: BaseException, *, by_name: bool = False) -> str:
    """An exception and its causes, the first of them last, without what they quote."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return " from ".join(type(one).__name__ if by_name or _is_aiohttps(one) else _exception_text(one) for one in chain)


def _is_aiohttps(error: BaseException) -> bool:
    """What a stranger sent stands in these, a caller's token among it, and not always in quotes."""
    return type(error).__module__.startswith("aiohttp")


def _exception_text(error: BaseException) -> str:
    try:
        text = without_quoted(str(error))
    except Exception:  # noqa: BLE001  # one whose text cannot be had must not become another
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _traceback_text(exc_info: structlog.typing.ExcInfo) -> str:
    """A traceback with our lines of code, which hold no data, and its exceptions as `_chain_text` gives them."""
    _, error, trace = exc_info
    frames = "".join(traceback.format_tb(trace))
    return f"Traceback (most recent call last):\n{frames}{_chain_text(error)}"


_OURS: Final = frozenset({"timestamp", "level", "logger", "at", "exception"})
"""Fields that this module makes, of nothing that a stranger wrote."""


def _without_numbers_and_secrets(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The last look at all that is logged: stars for what may be a number or a secret."""
    return {name: value if name in _OURS or name.startswith("_") else _clean(value) for name, value in event.items()}


def _clean(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return hidden(value)
        case dict():
            return {hidden(str(name)): _clean(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(inner) for inner in value]
        case _:
            return hidden(str(value))
