"""What `load.py` compares with: a FastAPI handler that predicts one request at a time.

    python experiments/service/one_at_a_time.py RUN --port 8000

An `async def` that computes keeps the server from everything else meanwhile. Not an example.
"""

import with_classifier
from fastapi import FastAPI
from with_classifier import Comments


def build(directory: str) -> FastAPI:
    in_threads = with_classifier.build(directory).routes[-1].endpoint
    app = FastAPI()

    @app.post("/predict")
    async def predict(comments: Comments) -> list[dict[str, float]]:
        return in_threads(comments)

    return app


if __name__ == "__main__":
    with_classifier.main(build)
