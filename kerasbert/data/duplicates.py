"""What `DataConfig` says of texts that repeat others: what is left out, and what stays together."""

import collections
import functools
import warnings
from collections.abc import Sequence

import numpy as np

from kerasbert.config import DataConfig
from kerasbert.data.examples import Examples
from kerasbert.data.near_duplicates import SIMILARITY, NearDuplicates, find_near_duplicates
from kerasbert.data.shingles import similarities
from kerasbert.data.splitting import text_groups
from kerasbert.errors import InputError, InputWarning


def together(examples: Examples, config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """What must not be divided between two sides of a split, in the form of `text_groups`.

    The same texts or, with `config.group_near_duplicates`, near-duplicates as well.
    """
    return _groups(examples, is_near=config.group_near_duplicates)


def drop_duplicates(
    train: Examples, held_out: Sequence[Examples | None], config: DataConfig
) -> Examples:
    """Leave out training rows that repeat others, if `config.drop_duplicates` says so.

    Of rows that are alike the first one stays; where their labels differ, the first one of the most
    frequent label (of equally frequent ones, of that which comes first). None stays that is like a
    row of `held_out`. Near-duplicates are left out only where they are like a row that stays
    themselves, and not by way of others. An `InputWarning` says how many were left out.

    Args:
        train: of length n.
        held_out: the other files' rows, with the same columns; None for a file that is not there.
        config: of which `drop_duplicates` is looked at.

    Returns:
        At most n examples, in their order.

    Raises:
        InputError: no row would be left.
    """
    if config.drop_duplicates == "none":
        return train
    others = [examples for examples in held_out if examples is not None]
    everything = functools.reduce(Examples.joined, others, train)
    kept, is_elsewhere = _kept(everything, len(train), is_near=config.drop_duplicates == "near")
    if len(kept) == 0:
        raise InputError(
            f"{train.source}: each of the {len(train):,} rows is in the validation or test file as "
            "well, so --drop-duplicates leaves none to train on. Name other files."
        )
    if len(kept) < len(train):
        warnings.warn(
            _what_was_dropped(train, kept, is_elsewhere, others), InputWarning, stacklevel=2
        )
    return train.take(kept)


def first_of_most_frequent(group_of: np.ndarray, label_of: np.ndarray) -> np.ndarray:
    """Which example speaks for each group: the first one of its most frequent label.

    Args:
        group_of: a number per example, of shape (n,).
        label_of: a number per example, likewise.

    Returns:
        Indices of examples, of shape (groups,), by the number of their group. Of equally frequent
        labels the one that comes first counts.
    """
    kind = group_of * (label_of.max(initial=0) + 1) + label_of
    _, kind_of, count = np.unique(kind, return_inverse=True, return_counts=True)
    order = np.lexsort((np.arange(len(group_of)), -count[kind_of], group_of))
    return order[np.unique(group_of[order], return_index=True)[1]]


def label_numbers(examples: Examples) -> np.ndarray:
    """A number per example, int64 of shape (n,): the same where all label cells are the same."""
    numbers: dict[tuple[str, ...], int] = {}
    rows = zip(*examples.labels.values(), strict=True)
    return np.array([numbers.setdefault(cells, len(numbers)) for cells in rows], np.int64)


def _kept(everything: Examples, num_train: int, *, is_near: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which training rows stay, sorted; and which are like a held-out one, bool of shape (n,)."""
    labels = label_numbers(everything)[:num_train]
    if not is_near:
        group_of, _ = text_groups(everything)
        is_elsewhere = np.isin(group_of[:num_train], group_of[num_train:])
        first = first_of_most_frequent(group_of[:num_train], labels)
        return np.sort(first[~is_elsewhere[first]]), is_elsewhere
    found = find_near_duplicates(everything)
    text_of, texts = found.text_of[:num_train], found.text_of[found.pairs]  # (n,), (pairs, 2)
    is_elsewhere = _is_like_held_out(everything, num_train, found)
    left = np.flatnonzero(~is_elsewhere)
    labels = labels[left]
    # A row speaks for each group, and stays; one of each other text may. What is like the speaker
    # goes, and of the rest, in the file's order, what is like one that stays.
    speaker = left[first_of_most_frequent(found.group_of[left], labels)]
    others = np.setdiff1d(left[first_of_most_frequent(text_of[left], labels)], speaker)
    others = others[~np.isin(text_of[others], text_of[speaker])]
    speaker_of = dict(zip(found.group_of[speaker].tolist(), speaker.tolist(), strict=True))
    pairs = np.array([(speaker_of[found.group_of[row]], row) for row in others.tolist()], np.int64)
    is_gone = similarities(everything, pairs.reshape(-1, 2)) >= SIMILARITY
    like: dict[int, list[int]] = collections.defaultdict(list)
    for one, other in texts.tolist():
        like[one].append(other)
        like[other].append(one)
    stays = set(text_of[speaker].tolist())
    kept = speaker.tolist()
    for row in others[~is_gone].tolist():
        if stays.isdisjoint(like[text_of[row]]):
            stays.add(int(text_of[row]))
            kept.append(row)
    return np.sort(np.array(kept, np.int64)), is_elsewhere


def _is_like_held_out(everything: Examples, num_train: int, found: NearDuplicates) -> np.ndarray:
    """Which training rows are near-duplicates of a held-out one, bool of shape (n,)."""
    texts = found.text_of[found.pairs]  # (pairs, 2)
    is_held_out = np.zeros(len(everything), bool)  # by text
    is_held_out[found.text_of[num_train:]] = True
    is_like = is_held_out.copy()
    for one, other in (texts.T, texts.T[::-1]):
        is_like[one[is_held_out[other]]] = True
    # Not all pairs of a large group are known, so each is held against its first held-out row too.
    held_out = num_train + np.arange(len(everything) - num_train)
    groups, first = np.unique(found.group_of[held_out], return_index=True)
    held_out_of = dict(zip(groups.tolist(), held_out[first].tolist(), strict=True))
    is_elsewhere = is_like[found.text_of[:num_train]]
    rest = [row for row in range(num_train) if found.group_of[row] in held_out_of]
    rest = np.array([row for row in rest if not is_elsewhere[row]], np.int64)
    pairs = np.array([(row, held_out_of[found.group_of[row]]) for row in rest], np.int64)
    is_elsewhere[rest] = similarities(everything, pairs.reshape(-1, 2)) >= SIMILARITY
    return is_elsewhere


def _groups(examples: Examples, *, is_near: bool) -> tuple[np.ndarray, np.ndarray]:
    if not is_near:
        return text_groups(examples)
    found = find_near_duplicates(examples)
    return found.group_of, found.first


def _what_was_dropped(
    train: Examples, kept: np.ndarray, is_elsewhere: np.ndarray, others: Sequence[Examples]
) -> str:
    num_elsewhere = int(is_elsewhere.sum())
    num_repeated = len(train) - len(kept) - num_elsewhere
    what = [f"{num_repeated:,} that repeat another row"] * (num_repeated > 0)
    if num_elsewhere:
        names = " or ".join(dict.fromkeys(examples.source for examples in others))
        what.append(f"{num_elsewhere:,} whose text is in {names}")
    choice = " Where labels differed, the most frequent one stays." * (num_repeated > 0)
    return (
        f"{train.source}: --drop-duplicates dropped {len(train) - len(kept):,} of {len(train):,} "
        f"rows, {' and '.join(what)}.{choice}"
    )
