"""Requests as the texts that wait, and texts of several requests as one batch."""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

import numpy as np

from kerasbert.data.tokens import Tokens
from kerasbert.serving.served import ServedModel


@dataclasses.dataclass(eq=False)
class Job:
    """A request, until its last text is computed."""

    model: ServedModel
    texts: Sequence[str]
    pairs: Sequence[str] | None
    arrived: float
    answer: Future
    missing: int
    outputs: np.ndarray | None = None

    def take(self, index: int, row: np.ndarray) -> None:
        if self.outputs is None:
            self.outputs = np.empty((len(self.texts), *row.shape), np.float32)
        self.outputs[index] = row
        self.missing -= 1
        if self.missing == 0:
            with suppress(InvalidStateError):  # nobody waits for it any more
                self.answer.set_result(self.outputs)

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self.answer.set_exception(error)


@dataclasses.dataclass(eq=False, slots=True)
class Text:
    """One text of a request: the `place`-th of `tokens`, the `index`-th of its job."""

    job: Job
    index: int
    tokens: Tokens
    place: int
    length: int


def cut(jobs: list[Job]) -> list[Text]:
    """The texts of requests as word pieces; a request that cannot be cut fails alone."""
    texts: list[Text] = []
    for model in dict.fromkeys(job.model for job in jobs):
        own = [job for job in jobs if job.model is model and not job.answer.done()]
        try:
            tokens = model.tokens(*_all_texts(own)) if own else None
        except Exception as error:  # whatever it was, the others must be answered
            if len(own) == 1:
                own[0].fail(error)
            else:
                texts += [text for job in own for text in cut([job])]
            continue
        place = 0
        for job in own:
            for index in range(len(job.texts)):
                texts.append(Text(job, index, tokens, place, int(tokens.lengths[place])))
                place += 1
    return texts


def _all_texts(jobs: list[Job]) -> tuple[list[str], list[str] | None]:
    texts = [text for job in jobs for text in job.texts]
    if jobs[0].pairs is None:
        return texts, None
    return texts, [pair for job in jobs for pair in job.pairs]


def joined(batch: list[Text]) -> Tokens:
    """The word pieces of a batch, in its order."""
    lengths = [text.length for text in batch]
    slices = [slice(*text.tokens.offsets[text.place : text.place + 2]) for text in batch]
    cuts = list(zip(batch, slices, strict=True))
    return Tokens(
        input_ids=np.concatenate([text.tokens.input_ids[cut] for text, cut in cuts]),
        token_type_ids=np.concatenate([text.tokens.token_type_ids[cut] for text, cut in cuts]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pad_id=batch[0].tokens.pad_id,
        num_truncated=0,
    )
