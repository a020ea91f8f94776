"""Hold out a part of the examples, by label, and never the same text on both sides."""

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.tasks import UNKNOWN

_REGRESSION_BINS = 10


def split(
    examples: Examples, targets: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose which examples to train on and which to hold out.

    Examples with the same text (and, for pairs, the same second text), case and white space aside,
    go to one side together. Within each stratum (a class; the rarest label of a multilabel example;
    a tenth of the range of scores) about `fraction` of the examples is held out, and at least one
    on either side where the stratum has two different texts.

    Args:
        examples: of length n.
        targets: class numbers of shape (n,), 0/1/unknown of shape (n, labels), or scores (n,).
        fraction: share to hold out, above 0 and below 1.
        seed: the same seed gives the same split.

    Returns:
        Two sorted arrays of indices: kept and held out. Together they are all of 0 to n - 1.
    """
    random = np.random.default_rng(seed)
    groups: dict[tuple[str, str], list[int]] = {}
    for index in range(len(examples)):
        groups.setdefault(_key(examples, index), []).append(index)
    members = list(groups.values())

    strata: dict[int, list[int]] = {}
    stratum_of_example = _strata(targets)
    for group, indices in enumerate(members):
        # Where one text has several labels, its first example speaks for the group.
        strata.setdefault(int(stratum_of_example[indices[0]]), []).append(group)

    held_out: list[int] = []
    for stratum in sorted(strata):
        in_stratum = random.permutation(strata[stratum])
        sizes = np.array([len(members[group]) for group in in_stratum])
        wanted = round(fraction * sizes.sum())
        count = int(np.searchsorted(np.cumsum(sizes), wanted, side="right"))
        if len(in_stratum) > 1:
            count = min(max(count, 1), len(in_stratum) - 1)
        for group in in_stratum[:count]:
            held_out.extend(members[group])
    is_held_out = np.zeros(len(examples), dtype=bool)
    is_held_out[held_out] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _key(examples: Examples, index: int) -> tuple[str, str]:
    pair = "" if examples.pairs is None else examples.pairs[index]
    return _fold(examples.texts[index]), _fold(pair)


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _strata(targets: np.ndarray) -> np.ndarray:
    """One number per example; examples that share it should be spread alike. Shape (n,)."""
    if targets.ndim == 2:
        positive = targets == 1
        # The rarest label that an example has, as the common ones balance themselves.
        by_rarity = np.argsort(positive.sum(axis=0), kind="stable")
        ranked = positive[:, by_rarity]
        first = ranked.argmax(axis=1)
        return np.where(ranked.any(axis=1), by_rarity[first], int(UNKNOWN))
    if np.issubdtype(targets.dtype, np.floating):
        edges = np.quantile(targets, np.linspace(0, 1, _REGRESSION_BINS + 1)[1:-1])
        return np.searchsorted(edges, targets)
    return targets
