"""Hold out a part of the examples, by label, and never the same text on both sides."""

import numpy as np

from kerasbert.data.examples import Examples


def split(
    examples: Examples, targets: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose which examples to train on and which to hold out.

    Examples with the same text (and, for pairs, the same second text), case and white space aside,
    form a group and stay together. Of the groups of each class (for multilabel: of each rarest
    label; for regression: of each stretch of scores) about `fraction` is held out, counted in
    examples: at least one group where there are two, and, for a `fraction` up to a half, no more
    than half of the groups. Every class, and every label that any example has, stays in training.

    Args:
        examples: of length n.
        targets: class numbers of shape (n,), 0/1/unknown of shape (n, labels), or scores (n,).
        fraction: share to hold out, above 0 and below 1.
        seed: the same seed gives the same split.

    Returns:
        Two sorted arrays of indices: kept and held out. Together they are all of 0 to n - 1.
    """
    random = np.random.default_rng(seed)
    by_text: dict[tuple[str, str], list[int]] = {}
    for index in range(len(examples)):
        by_text.setdefault(_key(examples, index), []).append(index)
    groups = list(by_text.values())
    # Where one text has several labels, its first example speaks for the group.
    first = np.array([members[0] for members in groups])
    is_regression = targets.ndim == 1 and np.issubdtype(targets.dtype, np.floating)
    if is_regression:
        chosen = _spread(targets[first], fraction, random)
    else:
        sizes = np.array([len(members) for members in groups])
        strata = _rarest_label(targets)[first] if targets.ndim == 2 else targets[first]
        chosen = [
            group
            for stratum in np.unique(strata)
            for group in _share(np.flatnonzero(strata == stratum), sizes, fraction, random)
        ]
    is_held_out = np.zeros(len(examples), dtype=bool)
    for group in chosen:
        is_held_out[groups[group]] = True
    if not is_regression:
        # A class that occurs only beside another one, on the same texts, went where that one did.
        has_class = targets == 1 if targets.ndim == 2 else targets[:, None] == np.unique(targets)
        lost = has_class.any(axis=0) & ~has_class[~is_held_out].any(axis=0)  # (classes,)
        for group in chosen:
            if has_class[groups[group]][:, lost].any():
                is_held_out[groups[group]] = False
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _share(
    groups: np.ndarray, sizes: np.ndarray, fraction: float, random: np.random.Generator
) -> list[int]:
    """Groups, drawn at random, that make up about `fraction` of the examples of `groups`."""
    # One text may be there hundreds of times. It is passed over where it does not fit, and it does
    # not send all the others to the other side.
    wanted = round(fraction * sizes[groups].sum())
    most = max(1, round(max(fraction, 0.5) * len(groups)))
    drawn: list[int] = []
    for group in random.permutation(groups):
        if sizes[group] <= wanted and len(drawn) < most:
            drawn.append(int(group))
            wanted -= sizes[group]
    if len(groups) > 1 and not drawn:
        return [int(groups[sizes[groups].argmin()])]
    return drawn[:-1] if len(drawn) == len(groups) else drawn


def _spread(scores: np.ndarray, fraction: float, random: np.random.Generator) -> list[int]:
    """Groups spread evenly over the scores: one drawn from each of as many equal stretches."""
    count = min(max(1, round(fraction * len(scores))), len(scores) - 1)
    if count == 0:
        return []
    order = np.argsort(scores, kind="stable")
    return [int(random.choice(stretch)) for stretch in np.array_split(order, count)]


def _key(examples: Examples, index: int) -> tuple[str, str]:
    pair = "" if examples.pairs is None else examples.pairs[index]
    return _fold(examples.texts[index]), _fold(pair)


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _rarest_label(targets: np.ndarray) -> np.ndarray:
    """Of each example's labels the rarest, as the common ones balance themselves. Shape (n,)."""
    positive = targets == 1
    by_rarity = np.argsort(positive.sum(axis=0), kind="stable")
    ranked = positive[:, by_rarity]  # (n, labels)
    return np.where(ranked.any(axis=1), by_rarity[ranked.argmax(axis=1)], -1)
