"""Texts that are there more than once: in a file, in several, with several labels."""

import collections

import numpy as np

from kerasbert.checking.finding import Problem, Rows
from kerasbert.data.near_duplicates import NearDuplicates, find_near_duplicates


def repeat_problems(rows: Rows, similarity: float, is_regression: bool) -> list[Problem]:
    """The same texts, and near-duplicates, within and across files.

    Args:
        rows: of all files.
        similarity: from which texts are near-duplicates, above 0 and at most 1.
        is_regression: whether labels are scores, which differ between two people as a rule.
    """
    index = np.flatnonzero(rows.is_filled)  # of each example among all rows
    found = find_near_duplicates(rows.examples.take(index), similarity)
    return [
        _repeated(rows, index, found.text_of),
        _leaked(rows, index, found.text_of),
        _contradicting(rows, index, found.text_of, is_serious=not is_regression),
        *_near(rows, index, found),
    ]


def contradicting_groups(labels: dict[str, list[str]], group_of: np.ndarray) -> np.ndarray:
    """Groups of examples in one of which a label column has two values; an empty cell is none.

    Args:
        labels: column name to one cell per example.
        group_of: the group of each example, int64 of shape (n,).

    Returns:
        Numbers of groups, sorted.
    """
    contradicting = [np.zeros(0, np.int64)]
    for cells in labels.values():
        numbers: dict[str, int] = {"": 0}
        values = np.array([numbers.setdefault(cell, len(numbers)) for cell in cells], np.int64)
        is_known = values > 0
        kinds = np.unique(group_of[is_known] * len(numbers) + values[is_known])
        groups, counts = np.unique(kinds // len(numbers), return_counts=True)
        contradicting.append(groups[counts > 1])
    return np.unique(np.concatenate(contradicting))


def first_in_file(group_of: np.ndarray, file_of: np.ndarray) -> np.ndarray:
    """For each example the first one of its group in its file, int64 of shape (n,)."""
    key = group_of * (file_of.max(initial=0) + 1) + file_of
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    return first[number]


def first_of_group(group_of: np.ndarray) -> np.ndarray:
    """For each example the first one of its group, int64 of shape (n,)."""
    return first_in_file(group_of, np.zeros_like(group_of))


def _repeated(rows: Rows, index: np.ndarray, text_of: np.ndarray) -> Problem:
    first = first_in_file(text_of, rows.file_of[index])
    repeated = np.flatnonzero(first != np.arange(len(index)))
    return Problem(
        "duplicate",
        "texts repeated in the same file",
        index[repeated],
        [f"as {rows.where(index[first[one]])}" for one in repeated],
    )


def _leaked(rows: Rows, index: np.ndarray, text_of: np.ndarray) -> Problem:
    first, file_of = first_of_group(text_of), rows.file_of[index]
    leaked = np.flatnonzero(file_of[first] != file_of)
    return Problem(
        "text_of_another_file",
        "texts of an earlier file",
        index[leaked],
        [f"as {rows.where(index[first[one]])}" for one in leaked],
        is_serious=True,
    )


def _contradicting(
    rows: Rows, index: np.ndarray, text_of: np.ndarray, *, is_serious: bool
) -> Problem:
    labels = rows.examples.take(index).labels
    groups = contradicting_groups(labels, text_of)
    found = np.flatnonzero(np.isin(text_of, groups))
    given: dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    for one in found:
        given[text_of[one]][rows.label(index[one])] += 1
    details = {
        text: "; ".join(f"{label!r} in {count:,}" for label, count in labels.most_common())
        for text, labels in given.items()
    }
    return Problem(
        "contradicting_labels",
        f"the same text with different labels ({len(groups):,} such)",
        index[found],
        [details[text_of[one]] for one in found],
        is_serious,
    )


def _near(rows: Rows, index: np.ndarray, found: NearDuplicates) -> list[Problem]:
    """Near-duplicates within a file, and rows that are almost one of an earlier file.

    Each is named with a row that it is like itself, of several with the likest. Where the very text
    is further up, or in an earlier file, that is told already.
    """
    file_of, text_of = rows.file_of[index], found.text_of
    # Where each text is first in each file, (texts, files), and in all of them; -1 for nowhere.
    first = np.full((text_of.max(initial=-1) + 1, len(rows.paths)), -1)
    here = np.arange(len(index))
    first[text_of[::-1], file_of[::-1]] = here[::-1]
    overall = first_of_group(text_of)
    texts = text_of[found.pairs]  # (pairs, 2)
    within = [np.zeros((0, 3))]
    for file in range(len(rows.paths)):
        both = first[texts, file]
        is_here = (both >= 0).all(axis=1)
        both, similarity = np.sort(both[is_here], axis=1), found.similarity_of[is_here]
        within.append(np.column_stack([both[:, ::-1], similarity]))

    is_across = file_of[found.pairs[:, 0]] < file_of[found.pairs[:, 1]]
    across = np.column_stack([found.pairs[:, ::-1], found.similarity_of])[is_across]
    # All rows of a text in the file where it is first.
    like = _likest(across)
    again = {
        row: like[int(first_row)]
        for row, first_row in enumerate(overall.tolist())
        if first_row in like and file_of[row] == file_of[first_row]
    }

    def problem(name: str, summary: str, like: dict[int, tuple[int, float]]) -> Problem:
        concerned = sorted(like)
        return Problem(
            name,
            summary,
            index[np.array(concerned, np.int64)],
            [f"{like[row][1]:.2f} like {rows.where(index[like[row][0]])}" for row in concerned],
        )

    return [
        problem(
            "near_duplicate", "near-duplicates in the same file", _likest(np.concatenate(within))
        ),
        problem("near_duplicate_of_another_file", "near-duplicates of an earlier file", again),
    ]


def _likest(found: np.ndarray) -> dict[int, tuple[int, float]]:
    """By row the one that it is most like, the first of these, and how much.

    Args:
        found: rows, rows that they are like, and how much, of shape (pairs, 3).
    """
    order = np.lexsort((found[:, 1], -found[:, 2], found[:, 0]))
    like: dict[int, tuple[int, float]] = {}
    for row, other, similarity in found[order].tolist():
        like.setdefault(int(row), (int(other), similarity))
    return like
