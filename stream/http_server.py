"""The HTTP server of every process: aiohttp's, under limits that hold whoever asks (`[http]` of the configuration).

A connection has so long to send a whole header, so long for a body, and its request so long to be answered. There are
so many connections, of one address so many, and so many requests a second. Where a connection too many comes, the one
that has waited longest without a request under way makes room, of the address that has most: whoever opens thousands
and says nothing keeps nobody out. Connections are accepted here and not by asyncio, which floods the log where a
process has no descriptors left; there are fewer of them than descriptors, so that what speaks to Kafka has its own.
"""

import asyncio
import errno
import resource
import socket
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from stream import logs
from stream.config import HttpConfig
from stream.rate_limit import RateLimit

log = logs.get(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[int, str], web.Response]
"""From a status and a reason, with its mend, to the answer in the form of this server."""

LINGERING_S: Final = 2.0
"""How long what a refused request still sends is read, so that it gets its answer and not a reset."""

LOOK_EVERY_S: Final = 0.5
"""How often connections are looked at: the resolution of their deadlines."""

SHORT_S: Final = 0.01
"""Between two attempts to accept: an error that stays does not keep the loop to itself."""

NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
DESCRIPTORS_SHARE: Final = 4
"""A server takes a quarter of the process's descriptors at most: it may have two, and Kafka needs some."""

PACKED: Final = ("gzip", "deflate")
EITHER_HEADER: Final = 47
"""For zlib: a window of 32 KiB, and the header of gzip or of zlib, whichever there is."""

_FULL: Final = (
    b"all connections are busy (http.connections_max, and http.connections_per_address_max for one address); "
    b"ask again, over fewer\n"
)
BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (len(_FULL), _FULL)
)
"""What a connection gets that is one too many, where every other has a request under way."""

NETWORK_BITS: Final = 64
"""Of an IPv6 address: whoever has one has all that begin so."""


@dataclass(slots=True)
class Connection:
    """An open connection: whose it is, whether a request is under way, and since when that is so."""

    address: str
    open: bool = False
    busy: bool = False
    since: float = field(default_factory=time.monotonic)


class HttpServer:
    """Serves on a socket that listens. Create it on its loop; add routes to `app` before `start`."""

    def __init__(
        self,
        config: HttpConfig,
        *,
        refuse: Refuse,
        middlewares: Sequence[Middleware] = (),
        body_bytes_max: int = 1,
        drain_s: float = 1.0,
    ) -> None:
        """`drain_s`: how long requests under way may take once it stops."""
        self.app = web.Application(middlewares=[self._limited, *middlewares], client_max_size=body_bytes_max)
        self._drain_s = drain_s
        self._config = config
        self._refuse = refuse
        self._connections: dict[web.RequestHandler, Connection] = {}
        self._of_address: Counter[str] = Counter()
        self._rate = RateLimit(config.requests_per_address)
        self._connections_max = min(config.connections_max, _descriptors() // DESCRIPTORS_SHARE)
        self._runner: web.AppRunner | None = None
        self._listening: socket.socket | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._throttle = logs.Throttle()

    async def start(self, listening: socket.socket) -> str:
        """Serve; returns the address as `http://host:port`."""
        if self._connections_max < self._config.connections_max:
            log.info(
                "fewer connections than http.connections_max are served, for the process has few descriptors",
                connections_max=self._connections_max,
                mend="raise the limit of open files (ulimit -n, LimitNOFILE=)",
            )
        self._listening = listening
        listening.setblocking(False)
        # What a body says that it is packed by, its reader unpacks under its own limit.
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            lingering_time=LINGERING_S,
            auto_decompress=False,
            shutdown_timeout=self._drain_s,
        )
        await self._runner.setup()
        self._tasks = (asyncio.create_task(self._accept(listening)), asyncio.create_task(self._watch_deadlines()))
        host, port = listening.getsockname()[:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Serve no more: requests under way are answered, within a bound."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()

    def release(self) -> None:
        """Let go of the port: in a forked child, so that it does not outlive the parent."""
        if self._listening is not None:
            self._listening.close()

    # ---- connections

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listening)
                await self._serve(accepted, _network(peer[0]))
                await asyncio.sleep(0)  # many that wait to be accepted do not keep the loop to themselves
            except OSError as error:
                await self._not_accepted(error)
            except Exception:  # one connection must not end all others
                log.exception("unexpected exception as a connection came")
                await asyncio.sleep(LOOK_EVERY_S)

    async def _not_accepted(self, error: OSError) -> None:
        if error.errno not in NO_DESCRIPTOR:
            await asyncio.sleep(SHORT_S)  # a client that has gone
            return
        self._make_room(self._connections)
        held_back = self._throttle.now()
        if held_back is not None:
            log.warning(
                "no descriptor is left for a connection; an idle one is closed",
                error=error.strerror,
                more_count=held_back,
                mend="raise the limit of open files (ulimit -n, LimitNOFILE=), or set http.connections_max lower",
            )
        await asyncio.sleep(LOOK_EVERY_S)

    async def _serve(self, accepted: socket.socket, address: str) -> None:
        if not self._admits(address):
            with suppress(OSError):
                accepted.send(BUSY)
            accepted.close()
            return
        assert self._runner is not None
        assert self._runner.server is not None, "it is set up"
        protocol = self._runner.server()
        connection = self._connections[protocol] = Connection(address)
        self._of_address[address] += 1
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted)
            connection.open = True
        except OSError:
            self._forget(protocol)
            accepted.close()

    def _admits(self, address: str) -> bool:
        """Whether there is room for one more of this address, or has been made."""
        per_address, most = self._config.connections_per_address_max, self._connections_max
        if self._of_address[address] >= per_address or len(self._connections) >= most:
            self._forget_closed()
        if self._of_address[address] >= per_address:
            return self._make_room([one for one, about in self._connections.items() if about.address == address])
        return len(self._connections) < most or self._make_room(self._connections)

    def _make_room(self, among: Collection[web.RequestHandler]) -> bool:
        """Close the connection that has waited longest, of the address that has most; False where all are busy."""
        idle = [one for one in among if self._connections[one].open and not self._connections[one].busy]
        if not idle:
            return False

        def burden(one: web.RequestHandler) -> tuple[int, float]:
            return self._of_address[self._connections[one].address], -self._connections[one].since

        self._close(max(idle, key=burden))
        return True

    def _close(self, protocol: web.RequestHandler) -> None:
        self._forget(protocol)
        if protocol.transport is not None:
            protocol.transport.abort()

    def _forget(self, protocol: web.RequestHandler) -> None:
        address = self._connections.pop(protocol).address
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def _forget_closed(self) -> None:
        for protocol in [one for one, about in self._connections.items() if about.open and one.transport is None]:
            self._forget(protocol)

    async def _watch_deadlines(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._forget_closed()
            late = time.monotonic() - self._config.header_timeout_ms / 1000
            for protocol, connection in list(self._connections.items()):
                if not connection.busy and connection.since < late:
                    self._close(protocol)

    # ---- requests

    @web.middleware
    async def _limited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = self._connections.get(request.protocol)
        if connection is None:  # closed meanwhile
            return self._refuse(503, "the connection was closed")
        wait_s = self._rate.wait_s(connection.address)
        if wait_s:
            return too_many(self._refuse, f"of one address {self._config.requests_per_address} a second", wait_s)
        connection.busy = True
        try:
            return await self._within_deadline(request, handler)
        finally:
            connection.busy, connection.since = False, time.monotonic()

    async def _within_deadline(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        deadline_ms = self._config.handler_timeout_ms
        deadline = asyncio.timeout(deadline_ms / 1000)
        try:
            async with deadline:
                return await handler(request)
        except TimeoutError:
            if not deadline.expired():
                raise
        answer = self._refuse(503, f"there was no answer within http.handler_timeout_ms ({deadline_ms}); ask again")
        answer.force_close()
        return answer


class UnreadableBody(Exception):
    """A request's body that cannot be used: the status to answer with, and the reason with its mend."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def body_of(request: web.Request, *, timeout_ms: int, bytes_max: int) -> bytes:
    """The body, unpacked if it is packed. Raises `UnreadableBody`."""
    too_large = UnreadableBody(413, f"the body has more than {bytes_max} bytes; send less at once")
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            body = await request.read()
    except TimeoutError:
        raise UnreadableBody(408, f"the body has not come within {timeout_ms} ms; send it again, faster") from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except (web.RequestPayloadError, OSError):  # OSError: whoever sent it has gone
        raise UnreadableBody(400, "the body ends before its length, or its chunks are none; send it whole") from None
    packed = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packed == "identity":
        return body
    if packed not in PACKED:
        raise UnreadableBody(415, f"a body is taken as it is, or packed by {' or '.join(PACKED)}; send it so")
    unpacking = zlib.decompressobj(EITHER_HEADER)
    try:
        found = unpacking.decompress(body, bytes_max + 1)
    except zlib.error:
        found = None
    if found is not None and len(found) > bytes_max:
        raise too_large
    if found is None or not unpacking.eof:
        raise UnreadableBody(400, f"the body is no {packed}; send it as its Content-Encoding says, or without one")
    return found


def too_many(refuse: Refuse, what: str, wait_s: float) -> web.Response:
    """429: more requests than are served; `Retry-After` says when there is one more."""
    seconds = int(wait_s) + 1
    answer = refuse(429, f"too many requests: {what} are answered, and ten seconds' worth at once; wait {seconds} s")
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _descriptors() -> int:
    """How many this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def _network(address: str) -> str:
    """Whose an address is: of IPv6 the network, which one subscriber has whole."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(IPv6Address(int(found) >> NETWORK_BITS << NETWORK_BITS))
    return address
