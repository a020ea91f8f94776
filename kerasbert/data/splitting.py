"""Hold out a part of the examples, by label, and never the same text on both sides."""

import hashlib

import numpy as np

from kerasbert.data.examples import Examples

# Column of a file of predictions that holds the digests of the texts.
TEXT_DIGEST = "text_digest"


def split(
    examples: Examples,
    targets: np.ndarray,
    fraction: float,
    seed: int,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose which examples to train on and which to hold out.

    Examples with the same text (and, for pairs, the same second text), case and white space aside,
    form a group and stay together, unless other groups are given. Of the groups of each class (for
    multilabel: of each rarest label; for regression: of each stretch of scores) about `fraction` is
    held out, counted in examples: at least one group where there are two, and, for a `fraction` up
    to a half, no more than half of the groups. Every class, and every label that any example has,
    stays in training.

    Args:
        examples: of length n.
        targets: class numbers of shape (n,), 0/1/unknown of shape (n, labels), or scores (n,).
        fraction: share to hold out, above 0 and below 1.
        seed: the same seed gives the same split.
        groups: what stays together, in the form in which `text_groups` returns it. Default: the
            same texts.

    Returns:
        Two sorted arrays of indices: kept and held out. Together they are all of 0 to n - 1.
    """
    random = np.random.default_rng(seed)
    # Where one text has several labels, its first example speaks for the group.
    group_of, first = groups or text_groups(examples)
    is_regression = targets.ndim == 1 and np.issubdtype(targets.dtype, np.floating)
    if is_regression:
        chosen = _spread(targets[first], fraction, random)
    else:
        sizes = np.bincount(group_of)
        strata = rarest_label(targets)[first] if targets.ndim == 2 else targets[first]
        chosen = [
            group
            for stratum in np.unique(strata)
            for group in _share(np.flatnonzero(strata == stratum), sizes, fraction, random)
        ]
    is_chosen = np.zeros(len(first), dtype=bool)
    is_chosen[chosen] = True
    if not is_regression:
        # A class that occurs only beside another one, on the same texts, went where that one did.
        has_class = targets == 1 if targets.ndim == 2 else targets[:, None] == np.unique(targets)
        is_kept = ~is_chosen[group_of]  # (n,)
        lost = has_class.any(axis=0) & ~has_class[is_kept].any(axis=0)  # (classes,)
        is_chosen[group_of[has_class[:, lost].any(axis=1)]] = False
    is_held_out = is_chosen[group_of]
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


def text_groups(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Which examples have the same text (and second text), case and white space aside.

    Returns:
        The group of each example, shape (n,), numbered as each text comes first; and the index of
        each group's first example, shape (groups,).
    """
    # Digests instead of texts, which a file may have more of than memory holds.
    keys = np.empty(len(examples), "S16")
    for index in range(len(examples)):
        keys[index] = text_digest(examples, index)
    _, first, group_of = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return number[group_of], first[order]


def text_digest(examples: Examples, index: int) -> bytes:
    """16 bytes that tell an example's text (and second text) from others, as `text_groups` does."""
    pair = "" if examples.pairs is None else examples.pairs[index]
    text = "\0".join(folded(part) for part in (examples.texts[index], pair))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def folded(text: str) -> str:
    """A text without what does not make it another one: its case, and how much white space."""
    return " ".join(text.casefold().split())


def rarest_label(targets: np.ndarray) -> np.ndarray:
    """Of each example's labels the rarest, as the common ones balance themselves.

    Args:
        targets: 0, 1 or unknown, of shape (n, labels).

    Returns:
        Numbers of labels, of shape (n,); -1 for an example that has none.
    """
    positive = targets == 1
    by_rarity = np.argsort(positive.sum(axis=0), kind="stable")
    ranked = positive[:, by_rarity]  # (n, labels)
    return np.where(ranked.any(axis=1), by_rarity[ranked.argmax(axis=1)], -1)
