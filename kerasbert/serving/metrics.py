"""What Prometheus is told of a service."""

import os
from collections.abc import Callable

import psutil
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from kerasbert.serving.batching import Batch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts and times of one service; of all of its processes where there are several.

    Several processes share them by prometheus_client's own way: files in the directory that
    `PROMETHEUS_MULTIPROC_DIR` names, of which `render` adds up all.

    Args:
        num_queued: how many texts wait; asked whenever the numbers are.
    """

    def __init__(self, num_queued: Callable[[], int]):
        self._num_queued = num_queued
        self._registry = registry = CollectorRegistry()
        self._is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ

        def gauge(name: str, text: str, mode: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)

        self.requests = Counter(
            "kerasbert_requests",
            "Requests by path and status.",
            ("path", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "kerasbert_request_seconds",
            "Seconds from a request's headers to its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_texts = Histogram(
            "kerasbert_batch_texts", "Texts of a batch.", buckets=_TEXTS, registry=registry
        )
        self._batch_seconds = Histogram(
            "kerasbert_batch_seconds",
            "Seconds that a batch is computed.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue_seconds = Histogram(
            "kerasbert_queue_seconds",
            "Seconds that a text waits before it is computed.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._queued = gauge("kerasbert_queue_texts", "Texts that wait.", "livesum")
        self._memory = gauge("kerasbert_memory_bytes", "Resident memory of a process.", "liveall")
        self._model = gauge(
            "kerasbert_model", "1 for the model that answers.", "livemax", ("name", "version")
        )
        self.reloads = Counter(
            "kerasbert_reloads",
            "Models that were loaded, by result.",
            ("result",),
            registry=registry,
        )

    def observe_batch(self, batch: Batch) -> None:
        """Count a batch that was computed."""
        self._batch_texts.observe(batch.texts)
        self._batch_seconds.observe(batch.seconds)
        for seconds in batch.waited:
            self._queue_seconds.observe(seconds)

    def set_model(self, identity: dict[str, str], was: dict[str, str] | None) -> None:
        """Say which model answers now."""
        if was is not None:
            self._model.labels(**was).set(0)
        self._model.labels(**identity).set(1)

    def note(self) -> None:
        """Look at what is only looked at now and then: the queue, and the memory in use."""
        self._queued.set(self._num_queued())
        self._memory.set(psutil.Process().memory_info().rss)

    def render(self) -> bytes:
        """All of it in Prometheus's text format."""
        self.note()
        registry = self._registry
        if self._is_shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)
