"""A trained classifier over HTTP."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from kerasbert import __version__
from kerasbert.config_serve import ServiceConfig
from kerasbert.serving import page, routes
from kerasbert.serving.batching import QueueFullError
from kerasbert.serving.recording import Recording
from kerasbert.serving.schemas import PREDICT_EXAMPLE, request_schema
from kerasbert.serving.service import Service, UnavailableError

# Said to whoever asks again and again.
_LONGEST_RETRY = 60


def create_app(directory: str | Path, config: ServiceConfig | None = None) -> FastAPI:
    """Load a run, and give the application that answers by it, to serve or to mount.

    Args:
        directory: of a run, or a link to one, which may later point to another.
        config: limits and times; default: `ServiceConfig()`.

    Raises:
        FileNotFoundError, InputError: as `kerasbert.load`, or Keras has another backend than
            TensorFlow.

    A process that has made one cannot be forked, as TensorFlow's threads do not come along:
    gunicorn, say, must not `--preload` it.

    Example:
        >>> app = kerasbert.create_app("saved_weights/first")  # uvicorn module:app
    """
    service = Service(directory, config or ServiceConfig())
    service.load()
    service.watch()
    return build_app(service)


def build_app(service: Service) -> FastAPI:
    """The application of a service, whose model may still be loading."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.reopen()
        yield
        await asyncio.to_thread(service.close)

    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        title="kerasbert",
        summary="A text classifier.",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.add_exception_handler(HTTPException, _answer_refusal)
    app.add_exception_handler(UnavailableError, _answer_unavailable)
    app.add_exception_handler(QueueFullError, _answer_unavailable)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_failure)
    app.state.service = service
    routes.add_routes(app, service)
    page.add_routes(app)
    app.openapi = lambda: _describe(app, service)
    app.add_middleware(
        Recording,
        metrics=service.metrics,
        paths=frozenset({"/", "/docs", *_describe(app, service)["paths"]}),
        log_requests=service.config.log_requests,
        log_texts=service.config.log_texts,
    )
    return app


def _describe(app: FastAPI, service: Service) -> dict:
    """OpenAPI, with the limits of the service and the pairs of its model."""
    described = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    takes_pairs = None if service.model is None else service.model.takes_pairs
    schema = request_schema(service.config, takes_pairs).model_json_schema()
    schemas = described["components"]["schemas"]
    schemas["PredictRequest"] = schema
    for path in described["paths"].values():
        for operation in path.values():
            # Instead of the function's name.
            operation["summary"] = operation.pop("description").rstrip(".")
    # FastAPI leaves out what is null in an example.
    schemas["PredictResponse"]["examples"] = [PREDICT_EXAMPLE]
    return described


async def _answer_refusal(request: Request, error: HTTPException) -> Response:
    # Not the URL, of which the client's headers are a part.
    detail, path = error.detail, request.scope["path"][:80]
    if error.status_code == 404 and detail == "Not Found":
        detail = f"There is nothing at {path}. See /docs."
    if error.status_code == 405:
        detail = f"{request.method} is not for {path}. See /docs."
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _answer_unavailable(
    request: Request, error: UnavailableError | QueueFullError
) -> Response:
    seconds = min(max(1, math.ceil(error.seconds)), _LONGEST_RETRY)
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(seconds)})


async def _answer_nobody(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=499)  # which is counted, and not sent


async def _answer_failure(request: Request, error: Exception) -> Response:
    # The server writes what happened to its log.
    sentence = "The service failed to answer this request. Its log says why."
    return JSONResponse({"detail": sentence}, 500)
