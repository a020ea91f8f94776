"""Texts that are almost the same, found without comparing each with each: MinHash in bands.

A text is the set of its shingles, the runs of `_SHINGLE` characters in it, and two texts are as
similar as their sets, by Jaccard's measure: |A and B| / |A or B|. In a random order of all shingles
the first one of A is the first one of B with just this probability (Broder, 1997). A signature
holds the first ones of `_MINIMA` orders; texts whose signatures agree in one band of a few are
candidates. Those that agree in too few of all orders to be alike are let go, and the others are
compared shingle by shingle.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.data.shingles import MULTIPLIER, shingles, similarities, spread
from kerasbert.data.splitting import text_groups
from kerasbert.errors import InputError

SIMILARITY = 0.8
# Minima per signature; the share of similar texts that may miss each other in all bands; and the
# share of those that meet which may agree in too few minima.
_MINIMA, _MISSED, _LET_GO = 64, 0.005, 0.001
# How many of those that share a band's key each text is held against by its minima; with how many
# of these, the most promising ones, it is compared; and how many likes it then needs none beside.
_NEIGHBOURS, _COMPARED, _LIKES = 16, 2, 4
_SEED = 1
# Texts that are cut up at a time.
_TEXTS = 8192


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """Which of n examples are the same, or almost.

    Attributes:
        text_of: the number of each example's text, int64 of shape (n,), as `text_groups` gives it.
        group_of: the group of each example, int64 of shape (n,), numbered as each comes first. What
            is like another is in its group, and so is what is like that one.
        first: each group's first example, int64 of shape (groups,).
        pairs: examples that are alike, the first ones of two different texts each, the earlier one
            first; int64 of shape (pairs, 2). Of many that are all alike, not each with each.
        similarity_of: how similar each pair is, float64 of shape (pairs,).
    """

    text_of: np.ndarray
    group_of: np.ndarray
    first: np.ndarray
    pairs: np.ndarray
    similarity_of: np.ndarray


def find_near_duplicates(examples: Examples, similarity: float = SIMILARITY) -> NearDuplicates:
    """Find the texts that are the same or almost so, case and white space aside.

    Of 1,000 pairs just as similar as asked for, about 5 are overlooked; of those more similar,
    fewer. More are where dozens of texts share most of their words, as form letters do: those that
    are almost similar enough hide there who is. Pairs of texts are alike where both texts are. A
    text of fewer than 20 characters is like none but its equals. The same examples give the same
    answer, on any machine.

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
    keys, marks = _signatures(examples, first, similarity)
    num_likes = np.zeros(len(first), np.int64)  # earlier texts that each is known to be like
    compared = np.zeros(0, np.int64)
    alike, similarity_of = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for pairs, agreements, is_first in _candidates(keys, marks, _least(marks.shape[1], similarity)):
        number = pairs[:, 0] * len(first) + pairs[:, 1]
        # Of many that are alike, most are in one group after the first pairs.
        is_open = group_of_text[pairs[:, 0]] != group_of_text[pairs[:, 1]]
        is_open |= num_likes[pairs[:, 1]] < _LIKES
        is_new = (is_first | is_open) & ~np.isin(number, compared)
        pairs = pairs[is_new][_promising(pairs[is_new], agreements[is_new], is_first[is_new])]
        found = similarities(examples, first[pairs])
        compared = np.concatenate([compared, pairs[:, 0] * len(first) + pairs[:, 1]])
        pairs, found = pairs[found >= similarity], found[found >= similarity]
        if len(pairs):
            alike.append(pairs)
            similarity_of.append(found)
            num_likes += np.bincount(pairs[:, 1], minlength=len(first))
            group_of_text = _joined(group_of_text, pairs)
    # From numbers of the groups' first texts to numbers in their order.
    _, first_text, group_of_text = np.unique(group_of_text, return_index=True, return_inverse=True)
    return NearDuplicates(
        text_of,
        group_of_text[text_of],
        first[first_text],
        first[np.concatenate(alike)],
        np.concatenate(similarity_of),
    )


def _signatures(
    examples: Examples, indices: np.ndarray, similarity: float
) -> tuple[np.ndarray, np.ndarray]:
    """What like texts have in common.

    Returns:
        A number per text and band, uint64 of shape (indices, bands), of which like texts share
        some; and 8 bits of each minimum, uint8 of shape (indices, minima), which agree as often as
        the texts are similar, and seldom otherwise.
    """
    # Slow to import, and not needed where nobody asks for near-duplicates.
    from rensa import RMinHash

    rows = _rows_per_band(similarity)
    bands = _MINIMA // rows
    num_parts = 1 if examples.pairs is None else 2
    keys = np.zeros((len(indices), bands), np.uint64)
    marks = np.zeros((len(indices), bands * rows), np.uint8)
    for start in range(0, len(indices), _TEXTS):
        chunk = indices[start : start + _TEXTS]
        hashes, part_of = shingles(examples, chunk)
        # Shingles stand in the order of the texts; `offsets` is where each text's begin.
        offsets = np.searchsorted(part_of, np.arange(len(chunk) + 1) * num_parts)
        minima = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, offsets.astype(np.uint64), bands * rows, _SEED
        )
        minima = np.array(minima.to_rows(), np.uint64).reshape(len(chunk), bands, rows)
        marks[start : start + _TEXTS] = spread(minima * MULTIPLIER).reshape(
            len(chunk), -1
        ) >> np.uint64(56)
        for row in range(rows):
            keys[start : start + _TEXTS] = spread(
                keys[start : start + _TEXTS] * MULTIPLIER + minima[:, :, row]
            )
    return keys, marks


def _rows_per_band(similarity: float) -> int:
    """The most minima per band, for few candidates, that lets `_MISSED` of similar texts escape."""
    return max(
        rows
        for rows in range(1, _MINIMA + 1)
        if rows == 1 or (1 - similarity**rows) ** (_MINIMA // rows) <= _MISSED
    )


def _least(num_minima: int, similarity: float) -> int:
    """In how many minima texts agree that are just similar enough, but for `_LET_GO` of them."""
    below = 0.0
    for count in range(num_minima):
        chance = similarity**count * (1 - similarity) ** (num_minima - count)
        below += math.comb(num_minima, count) * chance
        if below > _LET_GO:
            return count
    return num_minima


def _candidates(
    keys: np.ndarray, marks: np.ndarray, least: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Band by band, pairs of texts that share its key and agree in `least` minima.

    Of k that share one, not all k (k - 1) / 2 pairs, but those of each with the first, and with
    `_NEIGHBOURS` before it. Neighbours share, where there are such, the next band's key as well.

    Yields:
        Different pairs, the earlier text first, int64 of shape (pairs, 2); in how many minima they
        agree, int64 of shape (pairs,); and which are pairs with the first, bool of that shape.
    """
    num_texts, bands = keys.shape
    if num_texts < 2:
        return
    for band in range(bands):
        order = np.lexsort((keys[:, (band + 1) % bands], keys[:, band]))
        ranked = keys[order, band]
        is_same = ranked[1:] == ranked[:-1]
        is_shared = np.concatenate([is_same, [False]]) | np.concatenate([[False], is_same])
        order, ranked = order[is_shared], ranked[is_shared]
        if len(order) == 0:
            continue
        begins = np.concatenate([[True], ranked[1:] != ranked[:-1]])
        earliest = np.minimum.reduceat(order, np.flatnonzero(begins))[np.cumsum(begins) - 1]
        pairs = [np.stack([earliest, order], axis=1)[earliest != order]]
        for step in range(1, _NEIGHBOURS + 1):
            is_same = ranked[step:] == ranked[:-step]
            if not is_same.any():
                break
            near = np.sort(np.stack([order[:-step], order[step:]], axis=1)[is_same], axis=1)
            is_another = near[:, 0] != earliest[step:][is_same]
            pairs.append(near[is_another])
        agreements = [(marks[part[:, 0]] == marks[part[:, 1]]).sum(axis=1) for part in pairs]
        is_first = np.arange(sum(map(len, pairs))) < len(pairs[0])
        pairs, agreements = np.concatenate(pairs), np.concatenate(agreements)
        keep = agreements >= least
        yield pairs[keep], agreements[keep], is_first[keep]


def _promising(pairs: np.ndarray, agreements: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """Which pairs to compare: those with the first, and of each later text the likeliest."""
    order = np.lexsort((pairs[:, 0], -agreements, pairs[:, 1]))
    later = pairs[order, 1]
    rank = np.arange(len(pairs)) - np.searchsorted(later, later)
    chosen = is_first.copy()
    chosen[order[rank < _COMPARED]] = True
    return chosen


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
