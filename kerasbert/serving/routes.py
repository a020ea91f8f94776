"""What the service answers, path by path."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from kerasbert.config_serve import ServiceConfig
from kerasbert.errors import InputError
from kerasbert.explaining.explanation import Explanation
from kerasbert.serving.bodies import BodyReader
from kerasbert.serving.metrics import CONTENT_TYPE
from kerasbert.serving.schemas import (
    ErrorResponse,
    LabelsResponse,
    PredictResponse,
    RefusedError,
    ReloadResponse,
    StatusResponse,
    read_request,
    request_schema,
)
from kerasbert.serving.served import ServedModel
from kerasbert.serving.service import Service

_ERRORS = {
    400: "The body is not JSON.",
    401: "The token is missing, or wrong.",
    408: "The body did not come in time.",
    409: "The directory holds no model that can be taken; the one before goes on answering.",
    413: "The body is too large.",
    415: "The body is of another type than JSON.",
    422: "The body holds what cannot be classified, or too much of it.",
    503: "The queue is full, or no model answers yet, or any more.",
    504: "The answer was not there in time.",
}
_RETRY_AFTER = {"description": "seconds until it may answer", "schema": {"type": "integer"}}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add all paths but those of the page."""
    app.include_router(_status_routes(service))
    token = service.config.token
    guards = [] if token is None else [Depends(_guard(token))]
    app.include_router(_model_routes(service, guards))
    if token is not None:
        app.include_router(_reload_routes(service, guards))


def _status_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["status"])

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", response_model=StatusResponse, response_model_exclude_none=True)
    async def healthz() -> dict[str, Any]:
        """Whether the process is alive."""
        return {"status": "alive"}

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", response_model=StatusResponse, responses=_errors(503))
    async def readyz() -> dict[str, Any]:
        """Whether a model is loaded, warmed up, and answers."""
        return {"status": "ready", "model": service.current().identity}

    return router


def _model_routes(service: Service, guards: list) -> APIRouter:
    router = APIRouter(tags=["model"], dependencies=guards)
    denied = (401,) if guards else ()
    body = {"$ref": "#/components/schemas/PredictRequest"}
    bodies = BodyReader(service.config.max_body, service.config.timeout)

    @router.post(
        "/predict",
        response_model=PredictResponse,
        responses=_errors(400, *denied, 408, 413, 415, 422, 503, 504),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}}
        },
    )
    async def predict(request: Request) -> Response:
        """Classify texts: labels, probabilities, and what decided."""
        start = time.perf_counter()
        model, config = service.current(), service.config
        asked = _read(await bodies.read(request), model, config)
        request.state.texts = _logged(asked)
        left = max(0.0, config.timeout - (time.perf_counter() - start))
        try:
            answer = await _while_wanted(request, _answer(service, model, asked), left)
        except asyncio.TimeoutError:
            sentence = f"The answer was not there after {config.timeout:g} s, the limit."
            raise HTTPException(504, sentence) from None
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        answer["seconds"] = time.perf_counter() - start
        return Response(to_json(answer, inf_nan_mode="null"), media_type="application/json")

    @router.get("/labels", response_model=LabelsResponse, responses=_errors(*denied, 503))
    async def labels() -> dict[str, Any]:
        """What the model says and takes."""
        model, config = service.current(), service.config
        return _decision(model) | {
            "labels": model.classifier.labels,
            "takes_pairs": model.takes_pairs,
            "max_length": model.classifier.run.config.max_length,
            "limits": {
                "texts": config.max_texts,
                "characters": config.max_characters,
                "body_bytes": config.max_body,
                "explained_texts": config.max_explained,
                "seconds": config.timeout,
            },
        }

    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}

    @router.get("/metrics", response_class=Response, responses={200: text, **_errors(*denied)})
    async def metrics() -> Response:
        """What happened so far, for Prometheus."""
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)

    return router


def _reload_routes(service: Service, guards: list) -> APIRouter:
    router = APIRouter(tags=["model"], dependencies=guards)

    @router.post("/reload", response_model=ReloadResponse, responses=_errors(401, 409, 503))
    async def reload() -> dict[str, Any]:
        """Load what the run's directory, or link, holds now; other processes follow."""
        was = service.current().identity
        try:
            await asyncio.to_thread(service.load)
        except (InputError, OSError) as error:
            raise HTTPException(409, f"{error} The model before goes on answering.") from None
        service.announce()
        return {"model": service.current().identity, "was": was}

    return router


def _guard(token: str) -> Callable:
    """A dependency that lets only those in who send the token."""
    expected = hashlib.sha256(token.encode()).digest()
    scheme = HTTPBearer(auto_error=False, description="the service's --token")

    given_type = Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)]

    async def check(given: given_type = None) -> None:
        # Digests, so that the time tells nothing of the length either.
        found = hashlib.sha256(given.credentials.encode() if given else b"").digest()
        if not hmac.compare_digest(found, expected):
            sentence = "The token is missing, or wrong. Send it as `Authorization: Bearer TOKEN`."
            raise HTTPException(401, sentence, {"WWW-Authenticate": "Bearer"})

    return check


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    described: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorResponse, "description": _ERRORS[status]} for status in statuses
    }
    if 503 in described:
        described[503]["headers"] = {"Retry-After": _RETRY_AFTER}
    return described


def _read(body: bytes, model: ServedModel, config: ServiceConfig) -> BaseModel:
    """The request that a body holds; an `HTTPException` where it holds none."""
    try:
        asked = read_request(body, request_schema(config, model.takes_pairs))
    except RefusedError as error:
        raise HTTPException(error.status, str(error)) from None
    num_texts = len(asked.texts)
    if asked.text_pairs is not None and len(asked.text_pairs) != num_texts:
        sentence = (
            "Expected as many `text_pairs` as `texts`. Received: "
            f"{len(asked.text_pairs)} and {num_texts}."
        )
        raise HTTPException(422, sentence)
    if asked.explain and num_texts > config.max_explained:
        most = config.max_explained
        sentence = f"`explain` takes at most {most} texts. Received: {num_texts}. Send fewer."
        raise HTTPException(422, sentence)
    return asked


async def _while_wanted(request: Request, answering: Coroutine, seconds: float) -> dict[str, Any]:
    """The answer, unless it takes too long or the client goes away, which ends the work on it.

    Raises:
        asyncio.TimeoutError, ClientDisconnect: so it was.
    """
    # After the body, all that can still be received is that the client has gone.
    answer, gone = asyncio.ensure_future(answering), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({answer, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ClientDisconnect if gone.done() else asyncio.TimeoutError
    finally:
        answer.cancel()
        gone.cancel()


def _logged(asked: BaseModel) -> list:
    """A request's texts, or pairs of them, as a log may show them."""
    pairs = asked.text_pairs
    return asked.texts if pairs is None else list(zip(asked.texts, pairs, strict=True))


async def _answer(service: Service, model: ServedModel, asked: BaseModel) -> dict[str, Any]:
    texts, pairs = asked.texts, asked.text_pairs
    outputs = await service.outputs(model, texts, pairs)
    explained: Sequence[Explanation | None] = [None] * len(texts)
    if asked.explain:
        explained = await service.explanations(model, texts, pairs)
    return _decision(model) | {"predictions": _predictions(model, outputs, explained)}


def _decision(model: ServedModel) -> dict[str, Any]:
    return {"model": model.identity, **model.decision}


def _predictions(
    model: ServedModel, outputs: np.ndarray, explained: Sequence[Explanation | None]
) -> list[dict[str, Any]]:
    labels = model.classifier.run.labels
    is_regression = labels.task == "regression"
    predictions = []
    for row, decided, explanation in zip(
        outputs.tolist(), labels.decode(outputs), explained, strict=True
    ):
        names = decided if labels.task == "multilabel" else [decided]
        predictions.append(
            {
                "labels": [] if is_regression or decided is None else names,
                "probabilities": (
                    None if is_regression else dict(zip(labels.names, row, strict=True))
                ),
                "score": row[0] if is_regression else None,
                "explanation": None if explanation is None else _why(explanation),
            }
        )
    return predictions


def _why(explanation: Explanation) -> dict[str, Any]:
    told = explanation.to_dict()
    return {
        name: told[name]
        for name in ("label", "method", "probability", "baseline_probability", "words")
    }
