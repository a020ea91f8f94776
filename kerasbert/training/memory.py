"""stub"""

import contextlib

import psutil


@contextlib.contextmanager
def out_of_memory_explained(batch_size, longest):
    yield


def resident_mb():
    return psutil.Process().memory_info().rss / 1e6
