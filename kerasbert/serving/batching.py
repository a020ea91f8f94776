"""Requests that arrive together are computed together: texts of like length, the oldest first.

Two threads compute. Whenever one is free it cuts what has arrived into word pieces, takes the text
that has waited longest with others of about its length, runs them as one batch, and answers each
request whose last text that was. So nothing waits for a batch to fill up, short texts do not wait
for long ones, and the more requests there are, the larger the batches become.
"""

import collections
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from kerasbert.data.batches import MAX_PIECES
from kerasbert.serving.jobs import Job, Text, cut, joined
from kerasbert.serving.served import FORM, ServedModel

# While one thread's batch adds and normalises, which is bound by memory, the other's multiplies.
_THREADS = 2
# Word pieces that a text may add to a batch as padding, its own and that of the others: one batch
# more costs about as much (experiments/service).
_PADDING = 24
# How much the last batch counts in the mean time of a text.
_NEWEST = 0.1


class QueueFullError(Exception):
    """There is no room for a request; `seconds` until there is, as far as is known."""

    def __init__(self, seconds: float):
        super().__init__("Too many texts wait already. Send this request again later.")
        self.seconds = seconds


@dataclasses.dataclass(frozen=True)
class Batch:
    """What is told of a batch that was computed.

    Attributes:
        texts: how many it had.
        seconds: that it took.
        waited: seconds that each of its texts had waited.
    """

    texts: int
    seconds: float
    waited: list[float]


class Batcher:
    """A bounded queue of requests, and the threads that compute them.

    Args:
        max_batch: texts computed together.
        max_wait: seconds that a request waits for others; it does not where the one before was
            alone and nothing is being computed.
        max_queue: texts that may wait.
        observe: is told of each batch.
    """

    def __init__(
        self,
        max_batch: int,
        max_wait: float,
        max_queue: int,
        observe: Callable[[Batch], None] = lambda batch: None,
    ):
        self._max_batch, self._max_wait, self._max_queue = max_batch, max_wait, max_queue
        self._observe = observe
        # All of these are changed under the condition alone.
        self._condition = threading.Condition()
        self._arrived: collections.deque[Job] = collections.deque()
        self._waiting: list[Text] = []  # the oldest first
        self._num_queued = 0
        self._num_computing = 0
        self._is_crowded = False
        self._seconds_per_text = 0.0
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    @property
    def num_queued(self) -> int:
        """Texts that wait."""
        return self._num_queued

    def submit(
        self, model: ServedModel, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> Future:
        """Queue a request, of at least one text.

        Returns:
            Its outputs, calibrated, of shape (texts, labels), once they are there. Who waits no
            longer cancels it; what is not computed by then is not computed any more.

        Raises:
            QueueFullError: as many texts as may wait do.
            RuntimeError: the batcher is closed.
        """
        job = Job(model, texts, pairs, time.monotonic(), Future(), len(texts))
        with self._condition:
            if self._is_closed:
                raise RuntimeError("The queue is closed.")
            if self._num_queued + len(texts) > self._max_queue:
                raise QueueFullError(self._num_queued * self._seconds_per_text)
            self._num_queued += len(texts)
            self._arrived.append(job)
            if not self._threads:
                self._start()
            self._condition.notify()
        return job.answer

    def close(self) -> None:
        """Compute what waits, and end the threads."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        for number in range(_THREADS):
            thread = threading.Thread(target=self._run, name=f"batches-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        """Compute a batch as soon as there is something to; False when there will be nothing."""
        with self._condition:
            while not (self._arrived or self._waiting):
                if self._is_closed:
                    return False
                self._condition.wait()
            self._let_others_come()
            arrived = list(self._arrived)
            self._arrived.clear()
        texts = cut(arrived)
        with self._condition:
            self._num_queued -= sum(len(job.texts) for job in arrived) - len(texts)
            self._waiting += texts
            batch = self._take()
            self._num_computing += bool(batch)
            if self._waiting:
                self._condition.notify()
        if batch:
            self._compute(batch)
        return True

    def _let_others_come(self) -> None:
        if self._waiting or not (self._is_crowded or self._num_computing):
            return
        until = self._arrived[0].arrived + self._max_wait
        while self._num_queued < self._max_batch and not self._is_closed:
            left = until - time.monotonic()
            if left <= 0 or not self._arrived:  # the other thread has taken them
                return
            self._condition.wait(left)

    def _take(self) -> list[Text]:
        """Take the next batch from what waits: the oldest, and those nearest to its length."""
        live = [text for text in self._waiting if not text.job.answer.done()]
        self._num_queued -= len(self._waiting) - len(live)
        self._waiting = live
        if not live:
            return []
        oldest = live[0]
        self._is_crowded = bool(self._num_computing) or live[-1].job is not oldest.job
        # Of one model, as another may have taken its place while these waited.
        alike = [text for text in live if text.job.model is oldest.job.model]
        alike.sort(key=lambda text: abs(text.length - oldest.length))
        # What the other thread, if it is free, may take at the same time is left to it.
        num_free = _THREADS - self._num_computing
        size = min(self._max_batch, math.ceil(len(alike) / num_free))
        batch, longest = [], oldest.length
        for text in alike[:size]:
            longer = max(0, text.length - longest)
            padding = max(0, longest - text.length) + longer * len(batch)
            longest += longer
            if batch and (padding > _PADDING or (len(batch) + 1) * longest > MAX_PIECES):
                break
            batch.append(text)
        if len(live) > len(batch) > FORM:
            del batch[len(batch) // FORM * FORM :]
        taken = set(map(id, batch))
        self._waiting = [text for text in live if id(text) not in taken]
        self._num_queued -= len(batch)
        return batch

    def _compute(self, batch: list[Text]) -> None:
        start = time.monotonic()
        try:
            outputs = batch[0].job.model.outputs(joined(batch))
        except Exception as error:  # whatever it was, the thread must go on
            outputs = None
            if len(batch) == 1:
                batch[0].job.fail(error)
        seconds = time.monotonic() - start
        with self._condition:
            # Before the answers, after which a lone client comes again.
            self._num_computing -= 1
            if outputs is not None:
                for text, row in zip(batch, outputs, strict=True):
                    text.job.take(text.index, row)
                newest = seconds / len(batch)
                weight = _NEWEST if self._seconds_per_text else 1.0
                self._seconds_per_text += weight * (newest - self._seconds_per_text)
        if outputs is not None:
            waited = [start - text.job.arrived for text in batch]
            self._observe(Batch(len(batch), seconds, waited))
        elif len(batch) > 1:
            # Perhaps too much at once, or one that spoils the others' answers: each by itself.
            for text in batch:
                with self._condition:
                    self._num_computing += 1
                self._compute([text])
