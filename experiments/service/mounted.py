"""The service within a server of your own: two models, each under a path.

    python experiments/service/mounted.py TOXIC=saved_weights/toxic TOPIC=saved_weights/topic

Each has its page at its path (/TOXIC/), and `POST /TOXIC/predict` computes requests that arrive
together together.
"""

import argparse
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

from kerasbert import create_app
from kerasbert.config_serve import ServiceConfig


def build(runs: dict[str, str]) -> FastAPI:
    config = ServiceConfig(max_texts=64, timeout=10)
    parts = {name: create_app(directory, config) for name, directory in runs.items()}

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A server runs the beginning and end of the outermost application alone.
        async with contextlib.AsyncExitStack() as stack:
            for part in parts.values():
                await stack.enter_async_context(part.router.lifespan_context(part))
            yield

    app = FastAPI(lifespan=lifespan)
    for name, part in parts.items():
        app.mount(f"/{name}", part)

    @app.get("/")
    def home() -> dict[str, list[str]]:
        return {"models": list(parts)}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    runs = dict(run.split("=", 1) for run in args.runs)
    uvicorn.run(build(runs), port=args.port, log_level="warning")
