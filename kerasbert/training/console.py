"""What a training writes on the screen: bars on a terminal, lines anywhere else."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from kerasbert.history import Row

# Steps between two lines where there are no bars.
_EVERY = 50


def say(console: Console, text: str) -> None:
    """Write a line as it is: neither broken at the terminal's width nor read as markup."""
    console.print(Text(text), soft_wrap=True)


@contextlib.contextmanager
def encoding_bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar for the texts that a frozen base encodes; gives the function that moves it."""
    with Progress(
        TextColumn("encoding"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,} texts"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("encoding", total=0)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


class Screen:
    """A bar with examples per second while an epoch runs, and lines of numbers.

    A context manager, so that the terminal is whole again however the training ends.

    Args:
        console: where to write; there are bars on a terminal only.
        num_examples: training examples per epoch.
        num_epochs: of the whole training.
        num_steps: of the whole training.
        every: steps between two lines of mean loss and accuracy since the last; None is 50 where
            there are no bars, and no lines where there are.
    """

    def __init__(
        self,
        console: Console,
        *,
        num_examples: int,
        num_epochs: int,
        num_steps: int,
        every: int | None = None,
    ):
        self._console = console
        self._num_examples, self._num_epochs = num_examples, num_epochs
        self._num_steps = num_steps
        self._every = every or (0 if console.is_terminal else _EVERY)
        self._since: list[Row] = []
        self._progress: Progress | None = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._progress is not None:
            self._progress.stop()

    def begin_epoch(self, epoch: int, done: float) -> None:
        """Draw the bar of an epoch, from 0, of which so many examples are done already."""
        self._epoch = f"epoch {epoch + 1}/{self._num_epochs}"
        self._done = done
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,} examples"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task(
            self._epoch, total=self._num_examples, completed=self._done, numbers=""
        )
        self._progress.start()
        self._seconds, self._done_before = 0.0, self._done

    def step(self, row: Row, num_examples: float) -> None:
        """Move the bar, and write a line where one is due."""
        self._done += num_examples
        # Not by the clock: several steps may be told at once, after the last of them.
        self._seconds += num_examples / row["examples_per_second"]
        speed = (self._done - self._done_before) / self._seconds
        numbers = f"{speed:,.0f} examples/s  loss {row['loss']:.4f}"
        self._progress.update(self._bar, completed=self._done, numbers=numbers)
        if not self._every:
            return
        self._since.append(row)
        if row["step"] % self._every == 0:
            loss, accuracy = (_mean(self._since, name) for name in ("loss", "accuracy"))
            right = "" if accuracy is None else f"  accuracy {accuracy:.4f}"
            say(
                self._console,
                f"step {row['step']:,}/{self._num_steps:,}  loss {loss:.4f}{right}  "
                f"learning rate {row['learning_rate']:.2e}  {speed:,.0f} examples/s",
            )
            self._since.clear()

    def validating(self) -> None:
        """Say on the bar that the epoch's steps are done."""
        self._progress.update(self._bar, description=f"{self._epoch}, validating")

    def end_epoch(self, row: Row) -> None:
        """Write the epoch's line in the place of its bar."""
        self._progress.stop()
        shown = ("loss", "accuracy", *(name for name in row if name.startswith("val_")))
        numbers = "  ".join(f"{name} {row[name]:.4f}" for name in shown if row[name] is not None)
        speed = f"{row['examples_per_second']:,.0f} examples/s"
        say(self._console, f"{self._epoch}  {numbers}  {speed}")


def _mean(rows: list[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return sum(values) / len(values) if values else None
