"""Texts as sets of their shingles, the runs of a few characters in them, and how many two share."""

import hashlib

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.data.splitting import folded

# Characters of a shingle; and of the shortest text that is cut into them. In a shorter one a word
# changes too much, and chains of such texts would join what has nothing in common.
_SHINGLE, _SHORTEST = 5, 20
# Pairs of texts that are cut up at a time.
_PAIRS = 4096
# The lower bits of a key are of a shingle's hash, the upper ones its part's number.
_HASH_BITS = np.uint64(48)
# An odd number whose bits are half zeros and half ones, and one that spreads what it multiplies.
MULTIPLIER, _SPREADER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


def similarities(examples: Examples, pairs: np.ndarray) -> np.ndarray:
    """How similar two examples are: the share of shingles in common, 0 to 1.

    Args:
        examples: of any number; for pairs of texts the less similar of the two counts.
        pairs: indices of two of them, int64 of shape (pairs, 2).

    Returns:
        A number per pair, float64 of shape (pairs,).
    """
    num_parts = 1 if examples.pairs is None else 2
    found = np.zeros(len(pairs))
    for start in range(0, len(pairs), _PAIRS):
        chunk = pairs[start : start + _PAIRS]
        count = len(chunk) * num_parts
        # Each text is cut up once, in however many pairs it is.
        texts, places = np.unique(chunk, return_inverse=True)
        keys = _keyed(*shingles(examples, texts))
        ends = np.searchsorted(keys, np.arange(len(texts) * num_parts + 1) << int(_HASH_BITS))
        one, other = (
            _of_parts(keys, ends, (side[:, None] * num_parts + np.arange(num_parts)).ravel())
            for side in places.reshape(-1, 2).T
        )
        # Two sorted stretches, which a stable sort merges.
        both = np.sort(np.concatenate([one, other]), kind="stable")
        shared = _count(both[1:][both[1:] == both[:-1]], count)
        jaccard = shared / (_count(one, count) + _count(other, count) - shared)
        found[start : start + _PAIRS] = jaccard.reshape(-1, num_parts).min(axis=1)
    return found


def _of_parts(keys: np.ndarray, ends: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The keys of some parts, one after the other, with the numbers 0, 1, 2 of parts in them."""
    lengths = ends[parts + 1] - ends[parts]
    starts = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) + np.repeat(ends[parts] - starts, lengths)
    hashes = keys[places] & ((np.uint64(1) << _HASH_BITS) - np.uint64(1))
    numbers = np.repeat(np.arange(len(parts), dtype=np.uint64), lengths)
    return (numbers << _HASH_BITS) | hashes


def _keyed(hashes: np.ndarray, part_of: np.ndarray) -> np.ndarray:
    """The different shingles of each part, as one sorted array."""
    keys = np.sort((part_of.astype(np.uint64) << _HASH_BITS) | (hashes >> np.uint64(16)))
    # Ten times as fast as `np.unique`, which puts integers into a hash table.
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])]


def _count(keys: np.ndarray, num_parts: int) -> np.ndarray:
    return np.bincount((keys >> _HASH_BITS).astype(np.int64), minlength=num_parts)


def shingles(examples: Examples, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shingles of some examples: a hash of each, uint64, and the part it is of, int64.

    Parts are numbered along the examples: the text of each and, for pairs, its second text.
    """
    columns = [examples.texts] if examples.pairs is None else [examples.texts, examples.pairs]
    parts = [folded(column[index]) for index in indices for column in columns]
    lengths = np.array([len(part) for part in parts], np.int64)
    letters = np.frombuffer("".join(parts).encode("utf-32-le", "surrogatepass"), np.uint32)
    num_windows = max(0, len(letters) - _SHINGLE + 1)
    hashes = np.zeros(num_windows, np.uint64)
    for place in range(_SHINGLE):
        hashes = hashes * MULTIPLIER + letters[place : place + num_windows]
    # Short parts are shingles as they are. In long ones, those that would reach into the next fall
    # away.
    short = np.flatnonzero(lengths < _SHORTEST)
    part_of = np.repeat(np.arange(len(parts)), lengths)[:num_windows]
    left = (np.cumsum(lengths)[part_of] if len(parts) else part_of) - np.arange(num_windows)
    is_whole = (left >= _SHINGLE) & (lengths[part_of] >= _SHORTEST)
    whole_hashes = np.array([_hash(parts[part]) for part in short], np.uint64)
    hashes = np.concatenate([hashes[is_whole], whole_hashes])
    part_of = np.concatenate([part_of[is_whole], short])
    order = np.argsort(part_of, kind="stable")
    hashes, part_of = hashes[order], part_of[order]
    # The same words in the other text of a pair are others.
    return spread(hashes + (part_of % len(columns)).astype(np.uint64)), part_of


def spread(numbers: np.ndarray) -> np.ndarray:
    """Numbers each of whose bits depends on all bits of those given, as in splitmix64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SPREADER
    return numbers ^ (numbers >> np.uint64(31))


def _hash(part: str) -> int:
    data = part.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
