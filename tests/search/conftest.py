"""Fixtures of sweeps without trainings."""

from tests.search.faking import fakes, search

__all__ = ["fakes", "search"]
