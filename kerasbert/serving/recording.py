"""Each request counted, timed, and logged if that was asked for."""

import json
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kerasbert.serving.logs import log
from kerasbert.serving.metrics import Metrics

_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


class Recording:
    """ASGI middleware around all routes.

    Args:
        app: what answers. It may leave `texts`, a list, in the request's state, to be logged.
        metrics: what counts.
        paths: those that are counted by name; what else is asked for is "other", since clients
            may ask for any number of them.
        log_requests: write a line for each request.
        log_texts: write its texts as well.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        paths: frozenset[str],
        log_requests: bool,
        log_texts: bool,
    ):
        self._app, self._metrics, self._paths = app, metrics, paths
        self._log_requests, self._log_texts = log_requests or log_texts, log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception:
            status = status or 500
            raise
        finally:
            seconds = time.perf_counter() - start
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            path = path if path in self._paths else "other"
            # Without an answer the client has gone.
            self._metrics.requests.labels(path=path, status=str(status or "gone")).inc()
            self._metrics.seconds.labels(path=path).observe(seconds)
            if self._log_requests:
                self._write(scope, path, status, seconds)

    def _write(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        state = scope.get("state", {})
        texts = state.get("texts")
        line = {"method": scope["method"], "path": path, "status": status}
        line["milliseconds"] = round(1000 * seconds, 1)
        if texts is not None:
            line["num_texts"] = len(texts)
        if texts is not None and self._log_texts:
            line["texts"] = texts
        # As JSON, so that no text can pass for a line of its own.
        log.info("%s", json.dumps(line))
