"""Texts that are almost the same, found without comparing each with each: MinHash in bands.

A text is the set of its shingles, the runs of `_SHINGLE` characters in it, and two texts are as
similar as their sets, by Jaccard's measure: |A and B| / |A or B|. In a random order of all shingles
the first one of A is the first one of B with just this probability (Broder, 1997). A signature
holds the first ones of `_MINIMA` orders; texts whose signatures agree in one band of a few are
candidates, which are then compared shingle by shingle.
"""

import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.data.splitting import folded, text_groups
from kerasbert.errors import InputError

SIMILARITY = 0.8
# Characters of a shingle; and of the shortest text that is cut into them. In a shorter one a word
# changes too much, and chains of such texts would join what has nothing in common.
_SHINGLE, _SHORTEST = 5, 20
# Minima per signature, and the share of similar texts that may miss each other in all bands.
_MINIMA, _MISSED = 64, 0.005
_SEED = 1
# Texts, and pairs of them, that are cut up at a time.
_TEXTS, _PAIRS = 8192, 4096
# The lower bits of a key are of a shingle's hash, the upper ones its part's number.
_HASH_BITS = np.uint64(48)
# An odd number whose bits are half zeros and half ones, and one that spreads what it multiplies.
_MULTIPLIER, _SPREADER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """Which of n examples are the same, or almost.

    Attributes:
        text_of: the number of each example's text, int64 of shape (n,), as `text_groups` gives it.
        group_of: the group of each example, int64 of shape (n,), numbered as each comes first. What
            is like another is in its group, and so is what is like that one.
        first: each group's first example, int64 of shape (groups,).
    """

    text_of: np.ndarray
    group_of: np.ndarray
    first: np.ndarray


def find_near_duplicates(examples: Examples, similarity: float = SIMILARITY) -> NearDuplicates:
    """Find the texts that are the same or almost so, case and white space aside.

    Of 1,000 pairs just as similar as asked for, about 5 are overlooked; of those more similar,
    fewer. Pairs of texts are alike where both texts are. A text of fewer than 20 characters is like
    none but its equals. The same examples give the same answer, on any machine.

    Args:
        examples: of length n; time grows with their length, not with its square.
        similarity: least share of shingles in common, above 0 and at most 1.

    Raises:
        InputError: a `similarity` out of its range.
    """
    if not 0 < similarity <= 1:
        raise InputError(
            f"`similarity` must be above 0 and at most 1. Received: similarity={similarity!r}."
        )
    # Equal texts, of which there may be very many, are compared once.
    text_of, first = text_groups(examples)
    group_of_text = np.arange(len(first))
    for pairs in _candidates(_band_keys(examples, first, similarity)):
        # Of many that are alike, most are in one group after the first pairs.
        pairs = pairs[group_of_text[pairs[:, 0]] != group_of_text[pairs[:, 1]]]
        pairs = pairs[similarities(examples, first[pairs]) >= similarity]
        if len(pairs):
            group_of_text = _joined(group_of_text, pairs)
    # From numbers of the groups' first texts to numbers in their order.
    _, first_text, group_of_text = np.unique(group_of_text, return_index=True, return_inverse=True)
    return NearDuplicates(text_of, group_of_text[text_of], first[first_text])


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
        one, other = (_keyed(*_shingles(examples, side)) for side in chunk.T)
        both = np.sort(np.concatenate([one, other]))
        shared = _count(both[1:][both[1:] == both[:-1]], count)
        jaccard = shared / (_count(one, count) + _count(other, count) - shared)
        found[start : start + _PAIRS] = jaccard.reshape(-1, num_parts).min(axis=1)
    return found


def _band_keys(examples: Examples, indices: np.ndarray, similarity: float) -> np.ndarray:
    """A number per text and band, uint64 of shape (indices, bands); like texts share some."""
    # Slow to import, and not needed where nobody asks for near-duplicates.
    from rensa import RMinHash

    rows = _rows_per_band(similarity)
    bands = _MINIMA // rows
    num_parts = 1 if examples.pairs is None else 2
    keys = np.zeros((len(indices), bands), np.uint64)
    for start in range(0, len(indices), _TEXTS):
        chunk = indices[start : start + _TEXTS]
        hashes, part_of = _shingles(examples, chunk)
        # Shingles stand in the order of the texts; `offsets` is where each text's begin.
        offsets = np.searchsorted(part_of, np.arange(len(chunk) + 1) * num_parts)
        minima = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, offsets.astype(np.uint64), bands * rows, _SEED
        )
        minima = np.array(minima.to_rows(), np.uint64).reshape(len(chunk), bands, rows)
        for row in range(rows):
            keys[start : start + _TEXTS] = _spread(
                keys[start : start + _TEXTS] * _MULTIPLIER + minima[:, :, row]
            )
    return keys


def _rows_per_band(similarity: float) -> int:
    """The most minima per band, for few candidates, that lets `_MISSED` of similar texts escape."""
    return max(
        rows
        for rows in range(1, _MINIMA + 1)
        if rows == 1 or (1 - similarity**rows) ** (_MINIMA // rows) <= _MISSED
    )


def _candidates(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Band by band, pairs of texts that share its key, int64 of shape (pairs, 2).

    Of k that share one, not all k (k - 1) / 2 pairs, but those of each with the first, and then of
    neighbours: 2 k at most. Neighbours share, where there are such, the next band's key as well.
    """
    num_texts, bands = keys.shape
    if num_texts < 2:
        return
    for band in range(bands):
        order = np.lexsort((keys[:, (band + 1) % bands], keys[:, band]))
        ranked = keys[order, band]
        is_same = ranked[1:] == ranked[:-1]
        # Where the run of each key begins.
        begins = np.where(np.concatenate([[True], ~is_same]), np.arange(num_texts), 0)
        leader = order[np.maximum.accumulate(begins)]
        yield np.stack([leader[1:], order[1:]], axis=1)[is_same]
        is_another = is_same & (leader[1:] != order[:-1])
        yield np.stack([order[:-1], order[1:]], axis=1)[is_another]


def _keyed(hashes: np.ndarray, part_of: np.ndarray) -> np.ndarray:
    """The different shingles of each part, as one sorted array."""
    keys = np.sort((part_of.astype(np.uint64) << _HASH_BITS) | (hashes >> np.uint64(16)))
    # Ten times as fast as `np.unique`, which puts integers into a hash table.
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])]


def _count(keys: np.ndarray, num_parts: int) -> np.ndarray:
    return np.bincount((keys >> _HASH_BITS).astype(np.int64), minlength=num_parts)


def _shingles(examples: Examples, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        hashes = hashes * _MULTIPLIER + letters[place : place + num_windows]
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
    return _spread(hashes + (part_of % len(columns)).astype(np.uint64)), part_of


def _spread(numbers: np.ndarray) -> np.ndarray:
    """Numbers each of whose bits depends on all bits of those given, as in splitmix64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SPREADER
    return numbers ^ (numbers >> np.uint64(31))


def _hash(part: str) -> int:
    data = part.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _joined(group_of: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The groups after those of each pair became one, each with the lowest number among them.

    Args:
        group_of: of each of n things, numbers below n, int64 of shape (n,).
        pairs: of things, int64 of shape (pairs, 2).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Few of all groups, as a rule.
    groups, ends = np.unique(group_of[pairs], return_inverse=True)
    one, other = ends.reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs), bool), (one, other)), shape=(len(groups), len(groups)))
    _, component = connected_components(links, directed=False)
    lowest = groups[np.unique(component, return_index=True)[1]]
    becomes = np.arange(len(group_of))
    becomes[groups] = lowest[component]
    return becomes[group_of]
