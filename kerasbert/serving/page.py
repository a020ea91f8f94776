"""The page to try a model on: files of the package, without a network."""

from importlib import resources

from fastapi import FastAPI, Response

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    # Nothing but its own files, and nobody may frame it.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def add_routes(app: FastAPI) -> None:
    """Serve the page at the root, and its files beside it."""
    for file in resources.files("kerasbert.serving").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            path = "/" if suffix == ".html" else f"/{file.name}"
            _add_file(app, path, file.read_bytes(), _TYPES[suffix])


def _add_file(app: FastAPI, path: str, content: bytes, media_type: str) -> None:
    @app.get(path, include_in_schema=False)
    async def file() -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)
