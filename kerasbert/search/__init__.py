"""Sweeps: which settings do best."""
