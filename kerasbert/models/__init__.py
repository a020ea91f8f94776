"""Piece numbers to probabilities; knows nothing of files of text."""
