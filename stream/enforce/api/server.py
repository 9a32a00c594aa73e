"""The HTTP side: routes from the table of operations, tokens, errors as JSON, one log line a request.

Logs and metrics name the operation and never the path or query, which may hold a number; a case is named
where it is one that the caller may see.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream import letters, logs
from stream.clock import WallClock
from stream.config import Config, ConfigError, keys_of
from stream.enforce.api import auth, intake, listings, names, permissions, registry_reads, request_parsing, search
from stream.enforce.api.api_request import ApiRequest, ConditionalWrite, Expressed, OrderWrite, SendersWrite, Write
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_feed import CaseFeed
from stream.enforce.api.case_index import CaseIndex, line_of
from stream.enforce.api.letters_shown import LetterQuery, letter_of
from stream.enforce.api.looks import look
from stream.enforce.api.operations import ERASURE, READINGS, WRITINGS, ErasureOperation, ReadOperation, WriteOperation
from stream.enforce.api.preconditions import IF_MATCH, check_match, tag_of
from stream.enforce.api.recent import RecentActs, RecentKeys, digest
from stream.enforce.api.registry_access import RegistryAccess
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import (
    Accepted,
    CasePage,
    CaseShown,
    Fault,
    ListingPage,
    Problem,
    Refusal,
    RefusalName,
    faulty,
    forbidden,
    unknown,
)
from stream.enforce.api.shown import shown
from stream.enforce.api.statistics import MonthQuery
from stream.enforce.api.subscribers import Subscribers
from stream.enforce.api.topic_reads import SENDERS_AGE_S_MAX, TopicReads, reading
from stream.enforce.api.writer import RecordWriter
from stream.enforce.cases.calendar_file import calendar_file
from stream.enforce.procedures import settings
from stream.health import listen
from stream.http_server import HttpServer, UnreadableBody, body_of, too_many
from stream.kafka.brokers import Brokers
from stream.metrics import ApiMetrics
from stream.model.accesses import Access
from stream.model.answers import json_of
from stream.model.topics import ACCESSES
from stream.policy.loading import load as load_policy
from stream.rate_limit import RateLimit
from stream.registry.order_rule import Received
from stream.reloading_file import reloading_file

log = logs.get(__name__)

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 255
UNHEARD: Final = frozenset({401, 429})
"""Statuses of requests that nobody looks into. They come as fast as `http.requests_per_address` lets them, so of each
status one in ten seconds is logged: a log that a stranger fills loses what it held."""

WORK_NAMES: Final = frozenset(act.name for act in permissions.WORK)

DRAIN_S_MAX: Final = 5.0
"""How long requests in flight may take once the API stops."""

Operation = ReadOperation | WriteOperation | ErasureOperation

OF_THE_REGISTRY: Final = frozenset(("show-subscriber", "export-subscriber", "show-owner", "show-sender"))
"""Readings that the registrar answers."""

Answer = tuple[int, msgspec.Struct]
"""Status and body."""


class ApiServer:
    """The API of one process, beside Faust or alone. Create it on its loop."""

    def __init__(self, config: Config) -> None:
        if config.api.tokens_file is None:
            raise ConfigError("api.tokens_file: the API needs one, which says who may do what")
        self._config = config
        self._tokens = reloading_file(config.api.tokens_file, auth.read)
        self._terms = settings.terms(config, load_policy(config.policy.file, keys_of(config)))
        self._calendar = calendar_file(config)
        self._templates = letters.read(config.letters)
        self._clock = WallClock(config.enforce.clock_offset_file)
        self._metrics = ApiMetrics()
        self._keys, self._acts = RecentKeys(), RecentActs()
        kept_ms = self._terms.settings.ended_kept_ms
        self._feed = CaseFeed(config, clock=self._clock, kept_ms=kept_ms, acts=self._acts)
        self._writer = RecordWriter(config)
        self._brokers = Brokers(config, client="wurao-api")
        self._beside = AsyncExitStack()
        self._topics = TopicReads(config)
        self._ordering = asyncio.Lock()
        self._registrar = RegistryAccess(config)
        self._rate = RateLimit(config.api.requests_per_token)
        self._unheard = {status: logs.Throttle() for status in UNHEARD}
        self._server = HttpServer(
            config.http,
            refuse=_refused,
            middlewares=(self._guarded,),
            body_bytes_max=config.api.body_bytes_max,
            drain_s=DRAIN_S_MAX,
        )
        self._subscribers = Subscribers(
            config, self._terms, registrar=self._registrar, record=self._write_access, writer=self._writer
        )
        self._beginning: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Serve; returns the address as `http://host:port`.

        Until the cases are read, everything but health answers 503. Raises `ConfigError` where the port is taken.
        """
        listening = listen(self._config.api.host, self._config.api.port, setting="api.port")
        server = self._server
        app = server.app
        for read in READINGS:
            app.router.add_get(read.path, self._handler(read), name=read.name)
        for write in WRITINGS:
            app.router.add_post(write.path, self._handler(write), name=write.name)
        app.router.add_post(ERASURE.path, self._handler(ERASURE), name=ERASURE.name)
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._show_metrics)
        address = await server.start(listening)
        await self._beside.enter_async_context(self._brokers)
        self._beginning = asyncio.create_task(self._registrar.start())  # it waits for a broker
        self._following = asyncio.create_task(self._feed.run())
        log.info("API served", endpoint=address)
        return address

    async def stop(self) -> None:
        """Serve no more: requests in flight are answered, within a bound."""
        await self._server.stop()
        for task in (self._beginning, self._following):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._registrar.stop()
        await self._writer.stop()
        await self._beside.aclose()

    def not_ready(self) -> str | None:
        """Why requests are refused, or None where they are taken."""
        if self._following is not None and self._following.done():
            return "the follower of cases has ended by a fault of the program"
        return self._brokers.not_ready() or self._feed.not_ready()

    # ---- operations

    def _handler(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            began = time.monotonic()
            caller, case = None, None
            status = 503  # where its deadline ends it
            try:
                caller = self._caller(request)
                if wait_s := self._rate.wait_s(caller.actor):
                    status = 429
                    return too_many(_refused, f"of one token {self._config.api.requests_per_token} a second", wait_s)
                case = request.match_info.get("case")
                status, answer = await self._answer(operation, request, caller)
                case = answer.case if isinstance(answer, Accepted) else case
                return _response(status, answer)
            except Problem as problem:
                status = problem.status
                return _response(status, problem.refusal)
            except UnreadableBody as unreadable:
                status = unreadable.status
                return _refused(status, str(unreadable))
            finally:
                self._note(operation.name, request.remote, caller, case, status, seconds=time.monotonic() - began)

        return handle

    async def _answer(self, operation: Operation, request: web.Request, caller: Caller) -> Answer:
        if caller.role not in operation.roles:
            raise forbidden(f"{operation.name} is for {', '.join(operation.roles)}; this token's role is {caller.role}")
        index = self._index()
        self._terms.calendar = self._calendar()
        if isinstance(operation, WriteOperation):
            return 202, await self._accepted(operation, request, caller, index)
        if operation.name == "list-cases":
            return 200, await self._page(index, request.query, caller)
        if isinstance(operation, ErasureOperation) or operation.name in OF_THE_REGISTRY:
            return 200, await self._of_registry(operation, request, caller)
        if operation.name == "list-listings":
            return 200, await self._listing_page(request.query, caller)
        if operation.name == "count-month":
            month = request_parsing.query(request.query, MonthQuery).month
            return 200, index.statistics(month, caller, self._clock.now())
        return 200, await self._of_case(operation, request, caller, index)

    async def _of_case(
        self, operation: Operation, request: web.Request, caller: Caller, index: CaseIndex
    ) -> msgspec.Struct:
        """A case whole, or what it told somebody. Raises `Problem`."""
        wanted = request_parsing.query(request.query, LetterQuery) if operation.name == "show-letter" else None
        view = index.view(request.match_info["case"], caller)
        if view is None:
            raise unknown(request.match_info["case"])
        await self._record(caller, operation.name, [view.case])
        if wanted is not None:
            return letter_of(view, wanted, caller, self._templates)
        possible, view = permissions.possible(view, caller), shown(view, caller)
        return CaseShown(line_of(view, caller), view.body, possible)

    async def _of_registry(self, operation: Operation, request: web.Request, caller: Caller) -> msgspec.Struct:
        """What the registrar is asked for: of one person, or whose a number is, or of a sender. Raises `Problem`."""
        if operation.name == "show-owner":
            return await registry_reads.owner(self._registrar, request.match_info["number"], request.query, caller)
        if operation.name == "show-sender":
            return await registry_reads.sender(self._registrar, request.match_info["sender"], caller)
        number, now = request.match_info["number"], self._clock.now()
        stated: Fields = dict(request.query)
        if operation is ERASURE:
            stated = request_parsing.json_object(await self._body(request))
        async with reading("what is kept of this subscriber"):
            if operation is ERASURE:
                return await self._subscribers.erase(number, stated, caller, now)
            if operation.name == "show-subscriber":
                return await self._subscribers.show(number, stated, caller, now)
            return await self._subscribers.file(number, stated, caller, now)

    async def _record(
        self, caller: Caller, operation: str, cases: Sequence[str], asked: Mapping[str, str] | None = None
    ) -> None:
        """Nobody looks unseen: what is shown is recorded first. Raises `Problem` 503."""
        await self._write_access(look(caller, self._clock.now(), operation=operation, asked=asked, cases=cases))

    async def _write_access(self, access: Access) -> None:
        try:
            await self._writer.write(Write(ACCESSES, access.access, access.access, access, Accepted(access.access)))
        except Problem as problem:
            reason = "what is shown is recorded first, and the broker has not acknowledged the record; ask again"
            raise Problem(503, Refusal("not-ready", reason)) from problem

    async def _page(self, index: CaseIndex, stated: Mapping[str, str], caller: Caller) -> CasePage:
        query = search.asked(stated, self._terms, self._clock.now(), caller)
        registry = await self._topics.senders() if query.owner_of is not None else None
        lines, after = index.page(query, caller, search.found(query, self._terms.numbering, registry))
        await self._record(caller, "list-cases", [line.case for line in lines], asked=stated)
        return CasePage(tuple(lines), after)

    async def _listing_page(self, stated: Mapping[str, str], caller: Caller) -> ListingPage:
        entries, now = await self._topics.listings(), self._clock.now()
        page = listings.page(entries, stated, caller=caller, now=now, numbering=self._terms.numbering)
        await self._record(caller, "list-listings", [one.listing for one in page.listings], asked=stated)
        return page

    async def _accepted(
        self, operation: WriteOperation, request: web.Request, caller: Caller, index: CaseIndex
    ) -> Accepted:
        """The answer to what was written, now or when it came under the same key before."""
        stated = request_parsing.json_object(await self._body(request))
        key, body = _key(request, caller, operation.name), digest(stated)
        api_request = ApiRequest(
            caller=caller,
            stated=stated,
            now=self._clock.now(),
            id=names.fresh() if key is None else names.repeatable(key, body),
            case=request.match_info.get("case", ""),
            index=index,
            terms=self._terms,
            colleagues=self._tokens.value().colleagues(caller),
        )
        match = request.headers.get(IF_MATCH)
        if key is None:
            return await self._write(operation, api_request, match)
        answer = self._keys.begin(key, body)
        if answer is None:
            try:
                answer = await self._write(operation, api_request, match)
            finally:
                self._keys.end(key, body, answer)
        return answer

    async def _write(self, operation: WriteOperation, request: ApiRequest, match: str | None) -> Accepted:
        check_match(request, match)
        write = operation.make(request)
        if isinstance(write, OrderWrite):
            async with self._ordering:  # so that of two ends of one order the second is held to the first
                plain = write.resolve(await self._topics.order(write.order))
                await self._writer.write(plain)
            return plain.answer
        # Before anything is waited for: the case that was looked at is as it stands.
        act = self._act(request) if operation.name == "decide" else None
        try:
            if isinstance(write, SendersWrite):
                write = write.resolve(await self._topics.senders(age_s_max=0.0 if write.fresh else SENDERS_AGE_S_MAX))
            if isinstance(write, ConditionalWrite):
                record = await self._registrar.record_of(write.subscriber, request.caller)
                write = write.resolve([Received(one.expression, one.written) for one in record.expressions])
        except Problem:
            self._acts.taken(request.case, act)  # it comes to nothing
            raise
        if isinstance(write, Expressed):
            answer = await self._registrar.express(write.expression, request.caller, request=request.id)
            intake.expressed(answer, self._terms.categories)
            return write.answer
        await self._writer.write(write)
        if write.register is None:
            return write.answer
        why = await self._registrar.register(write.register.sender, request.caller)
        self._topics.forget_senders()
        return write.answer if why is None else write.register.failed(why)

    def _act(self, request: ApiRequest) -> str:
        """The event's id. Raises `Problem` 409 where another act on the case is under way and not taken yet."""
        act = request.event_id(request.view(request.case).procedure)
        if request.stated.get("event") in WORK_NAMES:
            return act  # what is no step is in nobody's way
        if self._acts.under_way(request.case, act, request.now):
            reason = "somebody has acted on this case a moment ago: read it again, and decide anew"
            raise Problem(409, Refusal("wrong-state", reason))
        self._acts.note(request.case, act, request.now)
        return act

    async def _body(self, request: web.Request) -> bytes:
        http, api = self._config.http, self._config.api
        return await body_of(request, timeout_ms=http.body_timeout_ms, bytes_max=api.body_bytes_max)

    def _caller(self, request: web.Request) -> Caller:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        caller = self._tokens.value().caller(token.strip()) if scheme.lower() == "bearer" and token else None
        if caller is None:
            raise Problem(401, Refusal("unauthorised", "send a known token: `Authorization: Bearer TOKEN`"))
        return caller

    def _index(self) -> CaseIndex:
        index = self._feed.index
        if index is None:
            raise Problem(503, Refusal("not-ready", "the cases are being read; ask again in some seconds"))
        return index

    def _note(
        self,
        operation: str,
        address: str | None,
        caller: Caller | None,
        case: str | None,
        status: int,
        *,
        seconds: float,
    ) -> None:
        self._metrics.requests.labels(operation, str(status)).inc()
        self._metrics.seconds.labels(operation).inc(seconds)
        held_back = self._unheard[status].now() if status in UNHEARD else 0
        if held_back is None:
            return
        counted = {"held_back": held_back} if held_back else {}
        index = self._feed.index
        made = status == 202  # its case is ours, though its view may not be here yet
        seen = caller and case and index and (made or index.view(case, caller))
        log.info(
            "request",
            operation=operation,
            status=status,
            address=address,
            actor=caller.actor if caller else None,
            role=caller.role if caller else None,
            case=case if seen else None,
            took_ms=round(seconds * 1000, 1),
            **counted,
        )

    # ---- middleware, health, metrics

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """What aiohttp itself refuses, and faults of the program, as a `Refusal`."""
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            answer = _response(405, Refusal("method-not-allowed", f"this path takes {allowed}"))
            answer.headers["Allow"] = allowed
            return answer
        except web.HTTPNotFound:
            return _response(404, Refusal("not-found", "there is no such path; docs/openapi.yaml has them all"))
        except Exception:  # one request must not end the control plane
            log.exception("unexpected exception in a request")
            return _response(500, Refusal("failed", "a fault of the program; it is in the log"))

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readiness(self, _: web.Request) -> web.Response:
        reason = self.not_ready()
        return web.Response(text="ready\n") if reason is None else web.Response(status=503, text=f"{reason}\n")

    async def _show_metrics(self, _: web.Request) -> web.Response:
        self._metrics.cases.set(len(self._feed.index or ()))
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(config: Config) -> None:
    """The API alone, until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stopping.set)
    api = ApiServer(config)
    await api.start()
    try:
        await stopping.wait()
    finally:
        await api.stop()


def _key(request: web.Request, caller: Caller, operation: str) -> bytes | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not 0 < len(key) <= IDEMPOTENCY_KEY_CHARACTERS_MAX:
        mend = f"send 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} characters, or no such header"
        raise faulty(Fault(IDEMPOTENCY_KEY, "its length", mend))
    if not key.isprintable():
        raise faulty(Fault(IDEMPOTENCY_KEY, "it holds what cannot be printed, or is no UTF-8", "send printable text"))
    return names.key_of(caller.actor, f"{operation} {request.match_info.get('case', '')}", key)


REFUSED: Final[dict[int, RefusalName]] = {
    400: "bad-request",
    408: "too-slow",
    413: "too-large",
    415: "bad-request",
    429: "too-many",
    503: "not-ready",
}


def _refused(status: int, reason: str) -> web.Response:
    return _response(status, Refusal(REFUSED[status], reason))


def _response(status: int, answer: msgspec.Struct) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "5"
    if isinstance(answer, CaseShown):
        headers["ETag"] = tag_of(answer.line.step)
    return web.Response(status=status, body=json_of(answer), content_type="application/json", headers=headers)
