"""What `load.py` compares with: a FastAPI handler that predicts one request at a time.

    python experiments/service/one_at_a_time.py RUN --port 8000

An `async def` that computes keeps the server from everything else meanwhile. Not an example.
"""

import argparse

import uvicorn
from fastapi import FastAPI
from with_classifier import Comments

import kerasbert


def build(directory: str) -> FastAPI:
    classifier = kerasbert.load(directory)
    classifier.predict(["The first call takes longer."])
    app = FastAPI()

    @app.post("/predict")
    async def predict(comments: Comments) -> list[dict[str, float]]:
        probabilities = classifier.predict_proba(comments.texts)
        return [dict(zip(classifier.labels, row, strict=True)) for row in probabilities.tolist()]

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    uvicorn.run(build(args.run), port=args.port, log_level="warning")
