"""`/metrics`, `/healthz` and `/readyz`: one small HTTP server per process (aiohttp), on the process's own loop.

`/healthz` answers while the loop runs: restart a process that does not. `/readyz` says whether it does its work now,
and if not, why: do not restart it for that.
"""

import socket
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

Readiness = Callable[[], str | None]
"""Why the process is not ready, or None when it is."""


class Health:
    """The server. `start` binds, so that a taken port is an error at start and not a surprise later."""

    def __init__(self, *, host: str, port: int, metrics: CollectorRegistry, not_ready: Readiness) -> None:
        self._host, self._port = host, port
        self._metrics = metrics
        ProcessCollector(registry=metrics)  # processor time and memory of whoever answers, a forked worker too
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None
        self._socket: socket.socket | None = None

    async def start(self) -> str:
        """Serve; returns the address as `http://host:port`. Raises `OSError` where the port is taken."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._show_metrics),
                web.get("/healthz", self._alive),
                web.get("/readyz", self._ready),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self._socket = socket.create_server((self._host, self._port))
        await web.SockSite(self._runner, self._socket).start()
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    def forget(self) -> None:
        """In a forked child: let go of the parent's port, so that it does not outlive the parent."""
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
