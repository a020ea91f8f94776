import threading
import time

import numpy as np
import pytest

from kerasbert.data.tokens import Tokens
from kerasbert.serving.batching import Batcher, QueueFullError

SECONDS = 10


class LengthModel:
    """Says how many characters a text has, when it may; a text with "!" cannot be computed."""

    def __init__(self):
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.num_started = threading.Semaphore(0)
        self.batches = []

    def tokens(self, texts, pairs):
        if any("?" in text for text in texts):
            raise ValueError("cannot be cut")
        lengths = [len(text) for text in texts]
        ids = np.concatenate([[ord(character) for character in text] for text in texts])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Tokens(ids, np.zeros_like(ids), offsets, pad_id=0, num_truncated=0)

    def outputs(self, tokens):
        self.batches.append(tokens.lengths.tolist())
        self.num_started.release()
        assert self.may_answer.wait(SECONDS)
        if ord("!") in tokens.input_ids:
            raise MemoryError("too much")
        return np.array([[length, -length] for length in tokens.lengths], np.float32)


@pytest.fixture
def model():
    return LengthModel()


@pytest.fixture
def make_batcher(model):
    made = []

    def make(max_batch=64, max_wait=0.0, max_queue=100, **options):
        made.append(Batcher(max_batch, max_wait, max_queue, **options))
        return made[-1]

    yield make
    model.may_answer.set()
    for batcher in made:
        batcher.close()


def occupy(batcher, model):
    """Let both threads compute until `model.may_answer` is set."""
    model.may_answer.clear()
    while model.num_started.acquire(blocking=False):  # of what was computed before
        pass
    futures = []
    for _ in range(2):
        futures.append(batcher.submit(model, ["x"]))
        assert model.num_started.acquire(timeout=SECONDS)
    return futures


def test_each_request_gets_its_own_answers(make_batcher, model):
    batcher, wrong = make_batcher(max_batch=5, max_wait=0.001), []

    def ask(number):
        for size in range(1, 9):
            texts = ["x" * (number + place + 1) for place in range(size)]
            found = batcher.submit(model, texts).result(SECONDS)
            if found[:, 0].tolist() != [len(text) for text in texts]:
                wrong.append((number, size))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert batcher.num_queued == 0


def test_what_waits_is_computed_together(make_batcher, model):
    batcher = make_batcher()
    occupy(batcher, model)
    waiting = [batcher.submit(model, ["abc"]) for _ in range(20)]
    assert batcher.num_queued == 20
    model.may_answer.set()
    assert [future.result(SECONDS)[0, 0] for future in waiting] == [3] * 20
    # In one batch, or shared by the two threads, as both come free.
    assert len(model.batches[2:]) <= 3
    assert sum(map(len, model.batches[2:])) == 20


def test_no_more_than_max_batch(make_batcher, model):
    batcher = make_batcher(max_batch=8)
    occupy(batcher, model)
    future = batcher.submit(model, ["abc"] * 20)
    model.may_answer.set()
    assert len(future.result(SECONDS)) == 20
    assert max(map(len, model.batches[2:])) <= 8


def test_texts_of_like_length_go_together(make_batcher, model):
    batcher = make_batcher()
    occupy(batcher, model)
    texts = ["x" * (100 if number % 2 else 10) for number in range(40)]
    waiting = [batcher.submit(model, [text]) for text in texts]
    model.may_answer.set()
    for text, future in zip(texts, waiting, strict=True):
        assert future.result(SECONDS)[0, 0] == len(text)
    assert all(len(set(batch)) == 1 for batch in model.batches)
    assert max(map(len, model.batches)) >= 8


@pytest.mark.parametrize(
    "lengths", [[100, 10, 30], [10, 40], [20] * 8 + [40], [90, 60, 80, 30, 10]]
)
def test_a_text_adds_less_padding_than_a_batch_of_its_own_would_cost(make_batcher, model, lengths):
    batcher = make_batcher()
    occupy(batcher, model)
    waiting = [batcher.submit(model, ["x" * length]) for length in lengths]
    model.may_answer.set()
    assert [future.result(SECONDS)[0, 0] for future in waiting] == lengths
    for batch in model.batches[2:]:
        padding = sum(max(batch) - length for length in batch)
        assert padding <= 24 * (len(batch) - 1)


def test_a_free_thread_gets_its_share(make_batcher, model):
    batcher = make_batcher()
    batcher.submit(model, ["x"]).result(SECONDS)  # both threads wait now
    future = batcher.submit(model, ["abc"] * 12)
    assert len(future.result(SECONDS)) == 12
    assert max(map(len, model.batches[1:])) <= 8
    assert len(model.batches[1:]) >= 2


def test_the_oldest_is_in_the_next_batch(make_batcher, model):
    batcher = make_batcher(max_batch=4)
    occupy(batcher, model)
    first = batcher.submit(model, ["x" * 50])
    for _ in range(12):
        batcher.submit(model, ["x" * 10])
    model.may_answer.set()
    first.result(SECONDS)
    # Whichever of the two threads is free first.
    assert any(50 in batch for batch in model.batches[2:4])


def test_a_full_queue_refuses_at_once_and_says_for_how_long(make_batcher, model):
    batcher = make_batcher(max_queue=5)
    batcher.submit(model, ["x"]).result(SECONDS)  # so that the time of a text is known
    occupy(batcher, model)
    waiting = batcher.submit(model, ["x"] * 4)
    start = time.monotonic()
    with pytest.raises(QueueFullError) as raised:
        batcher.submit(model, ["x"] * 2)
    assert time.monotonic() - start < 0.1
    assert raised.value.seconds > 0
    assert batcher.num_queued == 4
    model.may_answer.set()
    waiting.result(SECONDS)
    assert batcher.submit(model, ["x"] * 5).result(SECONDS).shape == (5, 2)


def test_what_nobody_waits_for_is_not_computed(make_batcher, model):
    batcher = make_batcher()
    occupy(batcher, model)
    abandoned, wanted = batcher.submit(model, ["x" * 7]), batcher.submit(model, ["x" * 8])
    assert abandoned.cancel()
    model.may_answer.set()
    wanted.result(SECONDS)
    assert model.batches[2:] == [[8]]
    assert batcher.num_queued == 0


def test_a_batch_that_fails_is_computed_one_by_one(make_batcher, model):
    batcher = make_batcher()
    occupy(batcher, model)
    good, bad = batcher.submit(model, ["abc"] * 3), batcher.submit(model, ["ab!"])
    model.may_answer.set()
    assert good.result(SECONDS)[:, 0].tolist() == [3, 3, 3]
    with pytest.raises(MemoryError):
        bad.result(SECONDS)
    assert batcher.submit(model, ["abcd"]).result(SECONDS)[0, 0] == 4


def test_a_request_that_cannot_be_cut_fails_alone(make_batcher, model):
    batcher = make_batcher()
    occupy(batcher, model)
    good, bad = batcher.submit(model, ["abc"]), batcher.submit(model, ["a", "?"])
    model.may_answer.set()
    assert good.result(SECONDS)[0, 0] == 3
    with pytest.raises(ValueError, match="cut"):
        bad.result(SECONDS)


def test_a_request_is_answered_by_the_model_it_was_made_to(make_batcher, model):
    batcher, other = make_batcher(), LengthModel()
    occupy(batcher, model)
    of_model, of_other = batcher.submit(model, ["abc"]), batcher.submit(other, ["abc"])
    model.may_answer.set()
    of_model.result(SECONDS), of_other.result(SECONDS)
    assert (model.batches[2:], other.batches) == ([[3]], [[3]])


def test_a_lone_client_does_not_wait(make_batcher, model):
    batcher = make_batcher(max_wait=1.0)
    start = time.monotonic()
    for _ in range(3):
        batcher.submit(model, ["abc"]).result(SECONDS)
    assert time.monotonic() - start < 0.5


def test_among_many_a_request_waits_for_others(make_batcher, model):
    batcher = make_batcher(max_wait=5.0, max_batch=2)
    together = batcher.submit(model, ["abc"] * 2)
    together.result(SECONDS)
    occupied = occupy(batcher, model)
    crowd = [batcher.submit(model, ["abc"]) for _ in range(2)]
    model.may_answer.set()
    for future in occupied + crowd:
        future.result(SECONDS)
    # Those before were not alone, so the next one waits, here until there are two again.
    first = batcher.submit(model, ["abcd"])
    time.sleep(0.05)
    assert [4] not in model.batches
    second = batcher.submit(model, ["abcd"])
    first.result(SECONDS), second.result(SECONDS)
    assert sum(batch.count(4) for batch in model.batches) == 2


def test_closing_answers_what_waits_and_refuses_what_comes(make_batcher, model):
    batcher = make_batcher()
    occupy(batcher, model)
    waiting = batcher.submit(model, ["abc"] * 3)
    model.may_answer.set()
    batcher.close()
    assert waiting.done()
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(model, ["abc"])


def test_it_tells_of_each_batch(make_batcher, model):
    told = []
    batcher = make_batcher(observe=told.append)
    batcher.submit(model, ["abc"] * 3).result(SECONDS)
    batcher.close()
    assert sum(batch.texts for batch in told) == 3
    for batch in told:
        assert len(batch.waited) == batch.texts
        assert batch.seconds >= 0
        assert min(batch.waited) >= 0
