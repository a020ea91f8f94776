import os

import pytest

from kerasbert import _runtime

THREADS = "TF_NUM_INTRAOP_THREADS"


@pytest.mark.parametrize(("cores", "threads"), [(1, "1"), (2, "1"), (3, "1"), (16, "8")])
def test_an_operation_has_half_of_the_cores(cores, threads, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    monkeypatch.delenv(THREADS, raising=False)
    _runtime.halve_threads()
    assert os.environ.pop(THREADS) == threads


def test_the_environment_has_the_last_word(monkeypatch):
    monkeypatch.setenv(THREADS, "5")
    _runtime.halve_threads()
    assert os.environ[THREADS] == "5"
