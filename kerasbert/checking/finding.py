"""What a check found: one object for the screen, the JSON file and the CSV file."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasbert.data.examples import Examples


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of all files, end to end, those without a text included.

    Attributes:
        paths: the files; the first is trained on.
        examples: the rows of all of them, n in all.
        ends: where in `examples` each file's rows end.
        is_filled: which rows have a text, bool of shape (n,).
        misread: what to say of the files that are not in the encoding they were read in.
    """

    paths: tuple[str, ...]
    examples: Examples
    ends: tuple[int, ...]
    is_filled: np.ndarray
    misread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)

    @functools.cached_property
    def names(self) -> list[str]:
        """Names of the files, without their directories where they differ by them alone."""
        names = [Path(path).name for path in self.paths]
        return names if len(set(names)) == len(names) else list(self.paths)

    @property
    def num_train(self) -> int:
        """How many rows the file that is trained on has."""
        return self.ends[0]

    @functools.cached_property
    def file_of(self) -> np.ndarray:
        """The number of each row's file, int64 of shape (n,)."""
        return np.searchsorted(self.ends, np.arange(len(self)), side="right")

    def per_file(self, indices: np.ndarray) -> list[int]:
        """How many of some rows each file has; one that is named several times counts once."""
        return np.bincount(self.file_of[np.unique(indices)], minlength=len(self.paths)).tolist()

    def where(self, index: int) -> str:
        """`"comments.csv, row 7"`."""
        file = int(np.searchsorted(self.ends, index, side="right"))
        return f"{self.names[file]}, row {self.examples.rows[index]}"

    def label(self, index: int) -> str:
        """The label cell of a row; of several the names and cells."""
        labels = self.examples.labels
        if len(labels) == 1:
            return next(iter(labels.values()))[index]
        return " ".join(f"{column}={cells[index]}" for column, cells in labels.items())


@dataclasses.dataclass(frozen=True)
class Problem:
    """One kind of oddity, and the rows that have it.

    Attributes:
        name: as it stands in the files that are written.
        summary: what it is, in a few words.
        rows: positions among `Rows`, int64 of shape (k,); None where it is of a whole file.
        details: what there is to say of each row, of length k; None where the name says it all.
        is_serious: whether a model trained, or measured, on the files would be the worse for it.
    """

    name: str
    summary: str
    rows: np.ndarray | None
    details: Sequence[str] | None = None
    is_serious: bool = False

    @property
    def is_found(self) -> bool:
        """Whether there is any of it."""
        return self.rows is None or len(self.rows) > 0


@dataclasses.dataclass(frozen=True)
class Lengths:
    """How long the texts of a file are, in tokens, special ones included.

    Attributes:
        mean: tokens per text.
        percentiles: tokens that so many percent of the texts do not exceed.
        share_cut: share of texts that are longer than the maximum, 0 to 1.
        share_lost: of the tokens of these, the share that is cut off; 0 where there are none.
    """

    mean: float
    percentiles: dict[int, int]
    share_cut: float
    share_lost: float


@dataclasses.dataclass(frozen=True)
class Finding:
    """All that is known of some files before training.

    Attributes:
        rows: of all files.
        task: what is to be predicted, a key of `kerasbert.tasks.TASKS`.
        balance: per label, rows that have it in each file; empty for scores.
        scores: per file the lowest, mean and highest; empty but for scores.
        base: whose tokens are counted.
        max_length: tokens kept of each text.
        lengths: per file; None for one without a text.
        problems: in the order in which they are shown; only those that were found.
    """

    rows: Rows
    task: str
    balance: dict[str, list[int]]
    scores: list[tuple[float, float, float] | None]
    base: str
    max_length: int
    lengths: list[Lengths | None]
    problems: tuple[Problem, ...]

    @property
    def is_serious(self) -> bool:
        """Whether any problem is."""
        return any(problem.is_serious for problem in self.problems)
