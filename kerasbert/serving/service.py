"""A model that answers requests, the queue before it, and another model in its place."""

import asyncio
import os
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kerasbert.config_serve import ServiceConfig
from kerasbert.errors import InputError
from kerasbert.explaining.explanation import METHODS, Explanation
from kerasbert.run_directory import CONFIG, LABELS, METADATA, WEIGHTS
from kerasbert.serving.batching import Batcher
from kerasbert.serving.logs import log
from kerasbert.serving.metrics import Metrics
from kerasbert.serving.served import ServedModel, load_served

# Requests that may wait for explanations, which are computed one text at a time.
_MOST_EXPLAINING = 4
# How old the queue and the memory of another process may be in what Prometheus is told.
_NOTE_SECONDS = 5.0


class UnavailableError(Exception):
    """The service cannot answer now; `seconds` until it may."""

    def __init__(self, sentence: str, seconds: float = 1.0):
        super().__init__(sentence)
        self.seconds = seconds


class Service:
    """What answers requests; `kerasbert.serving.app` speaks HTTP for it.

    Args:
        directory: of a run, or a link to one.
        config: limits and times.

    Attributes:
        model: what answers, or None until `load` was called.
        is_closing: whether it takes no new requests.
        on_reload: tells other processes of the service to load what this one was asked to load.
    """

    def __init__(self, directory: str | Path, config: ServiceConfig):
        self.directory, self.config = Path(directory), config
        self.model: ServedModel | None = None
        self.is_closing = False
        self.on_reload: Callable[[], None] | None = None
        self.metrics = Metrics(lambda: self._batcher.num_queued)
        self._num_explaining = 0
        self._loading = threading.Lock()
        self._seen: tuple | None = None
        self._watching: threading.Thread | None = None
        self._closed = threading.Event()
        self._make_threads()

    def load(self) -> None:
        """Load the run that the directory holds now, and answer by it.

        Raises:
            FileNotFoundError, InputError: there is none, or it does not answer as it did. What
                answered before goes on answering.
        """
        with self._loading:
            self._seen = self._look()
            try:
                model = load_served(self.directory, self.config.precision)
            except Exception:
                self.metrics.reloads.labels(result="failed").inc()
                raise
            was, self.model = self.model, model
            self.metrics.reloads.labels(result="loaded").inc()
            self.metrics.set_model(model.identity, None if was is None else was.identity)
            log.info("%s %s answers, after %.1f s", model.name, model.version, model.seconds)

    def load_or_keep(self) -> None:
        """Load as `load` does, or say in the log why what answered before goes on answering."""
        try:
            self.load()
        except InputError as error:
            log.error("%s was not taken: %s The one before goes on.", self.directory, error)
        except OSError as error:
            self._seen = None  # it may be there the next time
            log.error("%s was not taken: %s The one before goes on.", self.directory, error)
        except Exception:  # whatever it was, the old model must go on answering
            log.error("%s was not taken: %s", self.directory, traceback.format_exc())

    def announce(self) -> None:
        """Tell the other processes of this service, if there are any, to load it as well."""
        if self.on_reload is not None:
            self.on_reload()

    def watch(self) -> None:
        """Look from time to time whether the directory, or link, is another, and load it."""
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, name="watch", daemon=True)
            self._watching.start()

    def current(self) -> ServedModel:
        """The model that answers.

        Raises:
            UnavailableError: there is none yet, or no more.
        """
        if self.is_closing:
            raise UnavailableError("The service is shutting down.")
        if self.model is None:
            raise UnavailableError("The model is being loaded.", 5.0)
        return self.model

    async def outputs(
        self, model: ServedModel, texts: Sequence[str], pairs: Sequence[str] | None
    ) -> np.ndarray:
        """Calibrated outputs of shape (texts, labels), computed with those of other requests.

        Raises:
            QueueFullError: as many texts as may wait do.
        """
        return await asyncio.wrap_future(self._batcher.submit(model, texts, pairs))

    async def explanations(
        self, model: ServedModel, texts: Sequence[str], pairs: Sequence[str] | None
    ) -> list[Explanation]:
        """Why the model answers as it does, one text after the other.

        Raises:
            UnavailableError: others wait for theirs.
        """
        if self._num_explaining >= _MOST_EXPLAINING:
            sentence = "Other requests wait for explanations. Try again, or without `explain`."
            raise UnavailableError(sentence, 2.0)
        method, found = _method(model), []
        self._num_explaining += 1
        try:
            # One at a time, so that what nobody waits for any more ends after a text.
            for index, text in enumerate(texts):
                pair = None if pairs is None else [pairs[index]]
                future: Future = self._explaining.submit(
                    model.classifier.explain, [text], pair, method=method
                )
                found += await asyncio.wrap_future(future)
        finally:
            self._num_explaining -= 1
        return found

    def close(self) -> None:
        """Take no more requests, answer those that wait, and end all threads."""
        self.is_closing = True
        self._closed.set()
        self._batcher.close()
        self._explaining.shutdown(cancel_futures=True)
        if self._watching is not None:
            self._watching.join()

    def reopen(self) -> None:
        """Take requests again, after `close`; an application may be started more than once."""
        if self.is_closing:
            self._make_threads()
            self._closed.clear()
            self.is_closing = False
            if self._watching is not None:
                self._watching = None
                self.watch()

    def _make_threads(self) -> None:
        config = self.config
        self._batcher = Batcher(
            config.max_batch,
            config.max_wait / 1000,
            config.max_queue,
            self.metrics.observe_batch,
        )
        self._explaining = ThreadPoolExecutor(1, thread_name_prefix="explanations")

    def _look(self) -> tuple | None:
        """What tells one run from another at the same place; None while there is none."""
        directory = Path(os.path.realpath(self.directory))
        try:
            stats = [(directory / name).stat() for name in (METADATA, LABELS, CONFIG, WEIGHTS)]
        except OSError:
            return None
        return (directory, *((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats))

    def _watch(self) -> None:
        while not self._closed.wait(self.config.watch or _NOTE_SECONDS):
            self.metrics.note()
            if self.config.watch:
                self._load_if_another()

    def _load_if_another(self) -> None:
        with self._loading:  # what is being loaded need not be loaded again
            found = self._look()
            if found is None or found == self._seen:
                return
        self.load_or_keep()


def _method(model: ServedModel) -> str:
    """How its answers are explained: integrated gradients where they can be had."""
    return METHODS[0 if model.classifier.run.config.encoder == "native" else 1]
