"""For those who have a service already: the classifier in a FastAPI handler.

    python experiments/service/with_classifier.py RUN --port 8000

It is loaded once, before the server takes requests. FastAPI calls a handler that is a plain `def`
in one of its threads, and a `Classifier` may be called from several at once. Each request is
computed by itself; see `mounted.py` for requests that are computed together.
"""

import argparse
from typing import Annotated

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

import kerasbert


class Comments(BaseModel):
    texts: Annotated[list[Annotated[str, Field(max_length=20_000)]], Field(max_length=64)]


def build(directory: str) -> FastAPI:
    classifier = kerasbert.load(directory)
    classifier.predict(["The first call takes longer."])
    app = FastAPI()

    @app.post("/predict")
    def predict(comments: Comments) -> list[dict[str, float]]:
        probabilities = classifier.predict_proba(comments.texts)
        return [dict(zip(classifier.labels, row, strict=True)) for row in probabilities.tolist()]

    return app


def main(build=build) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    uvicorn.run(build(args.run), port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
