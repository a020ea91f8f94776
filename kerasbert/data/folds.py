"""Parts of the training file, each held out once, by label; never the same text on both sides."""

import dataclasses
import warnings

import numpy as np

from kerasbert.config import DataConfig
from kerasbert.data.dataset import (
    Dataset,
    check_scores_differ,
    missing_labels,
    read_test_file,
    read_training_file,
)
from kerasbert.data.duplicates import drop_duplicates, together
from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.data.splitting import rarest_label, text_groups
from kerasbert.errors import InputError, InputWarning

# Scores are cut into so many stretches at most, each of them shared out evenly: fine enough for
# folds of like scores, and few enough for the counts of all texts by stretch to stay small.
_STRETCHES = 20


@dataclasses.dataclass(frozen=True)
class Fold:
    """One way to divide the training file.

    Attributes:
        dataset: its `validation` is the part that is held out, and its `train` is the rest.
        held_out: where the examples of `dataset.validation` stand among all that were read from
            the training file, which are in the file's order; int64 of shape (held out,), sorted.
    """

    dataset: Dataset
    held_out: np.ndarray


def read_folds(config: DataConfig, num_folds: int, seed: int = 0) -> list[Fold]:
    """Read what `config` names, and divide its training file so that each row is held out once.

    Each class (for multilabel: each rarest label; for regression: each stretch of scores) is
    shared out evenly. Rows of the same text (and, for pairs, second text), case and white space
    aside, are held out together, and near-duplicates with `config.group_near_duplicates`, so folds
    differ in size where such texts are many.

    Args:
        config: `validation` must be left out, and `validation_fraction` is not looked at.
        num_folds: 2 or above.
        seed: draws the rows of `config.limit`, as in `read_dataset`, and the folds.

    Returns:
        `num_folds` folds, with the labels of the whole file and the same test examples in each.

    Raises:
        FileNotFoundError: a file that is not there.
        InputError: a file, row or cell that cannot be used; a class of fewer rows than folds, or
            one that no fold can both learn and hold out; fewer different texts than folds.

    Example:
        >>> folds = read_folds(DataConfig(), num_folds=5)
        >>> outputs = []
        >>> for fold in folds:
        ...     classifier = Classifier(fit_classifier(FitConfig(), fold.dataset))
        ...     outputs.append(classifier.predict_proba(fold.dataset.validation.texts))
        >>> write_out_of_fold("out_of_fold.csv", folds, outputs, labels=classifier.run.labels)
    """
    if num_folds < 2:
        raise InputError(f"`num_folds` must be 2 or above. Received: num_folds={num_folds!r}.")
    if config.validation is not None:
        raise InputError(
            "`validation` must be left out with folds, which hold out parts of the training file. "
            f"Received: validation={config.validation!r}."
        )
    examples, labels = read_training_file(config, seed)
    test = read_test_file(config, labels)
    examples = drop_duplicates(examples, [test], config)
    targets = labels.encode(examples)
    _check_rows_per_label(examples, labels, targets, num_folds)
    is_lost_anyway = missing_labels(examples, labels)
    folds = []
    groups = together(examples, config)
    for held_out in hold_out_each_once(examples, targets, num_folds, seed, groups):
        kept = np.setdiff1d(np.arange(len(examples)), held_out)
        train, validation = examples.take(kept), examples.take(held_out)
        check_scores_differ(train, labels, "Add rows, raise --limit, or lower --folds.")
        lost = [name for name in missing_labels(train, labels) if name not in is_lost_anyway]
        if lost:
            _refuse_or_warn(examples, labels, lost, len(folds) + 1)
        folds.append(Fold(Dataset(train, validation, test, labels, config), held_out))
    return folds


def hold_out_each_once(
    examples: Examples,
    targets: np.ndarray,
    num_folds: int,
    seed: int,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Choose which examples each fold holds out.

    Args:
        examples: of length n.
        targets: class numbers of shape (n,), 0/1/unknown of shape (n, labels), or scores (n,).
        num_folds: 2 or above.
        seed: the same seed gives the same folds.
        groups: what is held out together, in the form in which `text_groups` returns it. Default:
            the same texts.

    Returns:
        A sorted array of indices per fold. Together they are all of 0 to n - 1, each once.

    Raises:
        InputError: fewer different texts than folds, or no class of as many rows as folds.
    """
    # Slow to import, and not needed to print a help text.
    from sklearn.model_selection import StratifiedGroupKFold

    group_of, first = groups or text_groups(examples)
    strata = _strata(targets, num_folds)
    if len(first) < num_folds:
        raise _too_few(examples, len(first), num_folds)
    if np.unique(strata, return_counts=True)[1].max() < num_folds:
        raise InputError(
            f"{examples.source}: no label is the rarest one of as many as {num_folds} rows, so "
            f"there is nothing to share out between {num_folds} folds. Add rows, raise --limit, or "
            "lower --folds."
        )
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It warns of small strata; here they are checked by name, and rare labels are allowed.
        warnings.simplefilter("ignore", UserWarning)
        parts = [part for _, part in splitter.split(strata, strata, group_of)]
    if min(map(len, parts)) == 0:
        raise _too_few(examples, len(first), num_folds)
    return parts


def _strata(targets: np.ndarray, num_folds: int) -> np.ndarray:
    """What is shared out evenly: a number per example, shape (n,)."""
    if targets.ndim == 2:
        return rarest_label(targets)
    if not np.issubdtype(targets.dtype, np.floating):
        return targets
    count = max(1, min(_STRETCHES, len(targets) // num_folds))
    strata = np.empty(len(targets), np.int32)
    stretches = np.array_split(np.argsort(targets, kind="stable"), count)
    for number, stretch in enumerate(stretches):
        strata[stretch] = number
    return strata


def _check_rows_per_label(
    examples: Examples, labels: Labels, targets: np.ndarray, num_folds: int
) -> None:
    if labels.task == "regression":
        return
    if labels.task == "multilabel":
        counts = (targets == 1).sum(axis=0)
        rare = [name for name, count in zip(labels.names, counts, strict=True) if count < num_folds]
        if rare:
            warnings.warn(
                f"{examples.source}: fewer than {num_folds} rows have {', '.join(map(repr, rare))},"
                " so not every fold holds one out. Trust the report of all folds together rather "
                "than the mean of theirs.",
                InputWarning,
                stacklevel=3,
            )
        return
    counts = np.bincount(targets, minlength=len(labels.names))
    smallest = int(counts.argmin())
    if counts[smallest] < num_folds:
        raise InputError(
            f"{examples.source}, column {labels.columns[0]!r}: {counts[smallest]} of the "
            f"{len(examples):,} rows have the class {labels.names[smallest]!r}, fewer than the "
            f"{num_folds} folds. Expected at least {num_folds}; lower --folds, raise --limit, or "
            "add, merge or remove rows of that class."
        )


def _refuse_or_warn(examples: Examples, labels: Labels, lost: list[str], number: int) -> None:
    """Of a class that has rows, a fold's training part got none."""
    problem = (
        f"{examples.source}: all rows of {', '.join(map(repr, lost))} are held out in fold "
        f"{number}, so they cannot be learned there. The same text is never on both sides"
    )
    if labels.task == "multilabel":
        warnings.warn(f"{problem}.", InputWarning, stacklevel=3)
        return
    raise InputError(f"{problem}: add other texts of that class, merge or remove it.")


def _too_few(examples: Examples, num_texts: int, num_folds: int) -> InputError:
    return InputError(
        f"{examples.source}: {len(examples):,} rows of {num_texts:,} different texts are too few, "
        f"or too alike, for {num_folds} folds. The same text is never on both sides. Add rows, "
        "raise --limit, or lower --folds."
    )
