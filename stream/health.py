"""`/metrics`, `/healthz` and `/readyz`: one small HTTP server per process (aiohttp), on the process's own loop.

`/healthz` answers while the loop runs: restart a process that does not. `/readyz` says whether it does its work now,
and if not, why: do not restart it for that.
"""

import errno
import socket
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from stream.config import ConfigError, HttpConfig, variable
from stream.http_server import HttpServer


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A socket that listens; port 0 lets the system choose.

    `setting` is where the port comes from, perhaps with a remark behind its name. Raises `ConfigError` that names it,
    where the port is taken or not to be had, and `host` where that is no address of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        named = variable(setting.partition(" ")[0])
        where = f"{setting}: port {port} on {host}"
        match error.errno:
            case errno.EADDRINUSE:
                mend = f"is taken by another process; end that one, or choose another port ({named})"
            case errno.EACCES:
                mend = f"is for root alone; choose one above 1023 ({named})"
            case _:
                table = "api" if setting == "api.port" else "metrics"
                where = f"{table}.host: {host}"
                mend = f"is no address of this machine; give one, or 0.0.0.0 for all ({variable(f'{table}.host')})"
        raise ConfigError(f"{where} {mend}") from error


Readiness = Callable[[], str | None]
"""Why the process is not ready, or None when it is."""


class Health:
    """The server. `start` binds, so that a taken port is an error at start and not a surprise later."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        setting: str,
        http: HttpConfig,
        metrics: CollectorRegistry,
        not_ready: Readiness,
    ) -> None:
        """`setting` is where the port comes from."""
        self._host, self._port, self._setting, self._http = host, port, setting, http
        self._metrics = metrics
        ProcessCollector(registry=metrics)  # processor time and memory of whoever answers, a forked worker too
        self._not_ready = not_ready
        self._socket: socket.socket | None = None
        self._server: HttpServer | None = None

    async def start(self) -> str:
        """Serve; returns the address as `http://host:port`. Raises `ConfigError` as `listen` does."""
        self._socket = listen(self._host, self._port, setting=self._setting)
        self._server = HttpServer(self._http, refuse=_refused)
        self._server.app.add_routes(
            [
                web.get("/metrics", self._show_metrics),
                web.get("/healthz", self._alive),
                web.get("/readyz", self._ready),
            ]
        )
        return await self._server.start(self._socket)

    async def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            await self._server.stop()

    def release(self) -> None:
        """In a forked child: close the parent's port, so that it does not outlive the parent."""
        if self._socket is not None:
            self._socket.close()

    async def _show_metrics(self, request: web.Request) -> web.Response:
        """In the format that is asked for: exemplars, which lead to traces, are part of OpenMetrics only."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics), headers={"Content-Type": content_type})

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _ready(self, _: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.Response(text="ready\n") if reason is None else web.Response(status=503, text=f"{reason}\n")


def _refused(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=f"{reason}\n")
