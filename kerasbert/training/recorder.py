"""Who hears of a training: its history, the screen, and the trackers."""

from typing import Any

import numpy as np
from rich.console import Console

from kerasbert.config_train import RecordConfig
from kerasbert.history import History, Row
from kerasbert.training.console import Screen, say
from kerasbert.training.diagnosis import diagnose
from kerasbert.training.memory import resident_mb
from kerasbert.training.plan import Plan
from kerasbert.training.preparing import TrainingData
from kerasbert.training.state import Progress
from kerasbert.training.trackers import Trackers

# Numbers of a validation's report that the history has.
_VALIDATED = ("loss", "accuracy", "macro_f1", "roc_auc", "pearson")


class Recorder:
    """Writes a row per step and per epoch, and shows it. A context manager.

    Args:
        plan: of the training.
        record: how often a line is written.
        history: where the rows go.
        findings: where sentences on what looks wrong go.
        trackers: whom they are shown to.
        console: where bars and lines go.
    """

    def __init__(
        self,
        plan: Plan,
        record: RecordConfig,
        *,
        history: History,
        findings: list[str],
        trackers: Trackers,
        console: Console,
    ):
        self._plan, self._history, self._trackers = plan, history, trackers
        self._findings, self._console = findings, console
        # The rates of all steps at once: one by one they would cost more than a small head's step.
        self._rates = np.asarray(plan.schedule(np.arange(plan.num_steps)))
        self._screen = Screen(
            console,
            num_examples=plan.num_examples,
            num_epochs=plan.num_epochs,
            num_steps=plan.num_steps,
            every=record.eval_every,
        )

    def __enter__(self):
        self._screen.__enter__()
        return self

    def __exit__(self, *error):
        self._screen.__exit__(*error)
        self._history.close()

    def begin_epoch(self, progress: Progress) -> None:
        """An epoch begins, or goes on."""
        self._screen.begin_epoch(progress.epoch, progress.step * self._plan.examples_per_step)

    def validating(self) -> None:
        """The epoch's steps are taken."""
        self._screen.validating()

    def step(
        self,
        progress: Progress,
        *,
        loss: float,
        accuracy: float | None,
        seconds: float,
        gradient_norm: float,
        memory_mb: float,
    ) -> None:
        """A step was taken, which `progress` counts already."""
        row = self._add(
            progress,
            kind="step",
            epoch=progress.epoch + 1,
            loss=loss,
            accuracy=accuracy,
            learning_rate=float(self._rates[progress.num_steps - 1]),
            gradient_norm=gradient_norm,
            memory_mb=memory_mb,
            examples_per_second=self._plan.examples_per_step / seconds,
        )
        self._screen.step(row, self._plan.examples_per_step)

    def end_epoch(self, progress: Progress, report: dict[str, Any]) -> None:
        """An epoch was validated, which `progress` counts already; its steps are still there."""
        row = self._add(
            progress,
            kind="epoch",
            epoch=progress.epoch,
            memory_mb=resident_mb(),
            loss=progress.losses / progress.step,
            accuracy=progress.accuracies / progress.step if "accuracy" in report else None,
            examples_per_second=self._plan.examples_per_step * progress.step / progress.seconds,
            **{f"val_{name}": report.get(name) for name in _VALIDATED},
        )
        self._screen.end_epoch(row)

    def look(self, data: TrainingData, outputs: np.ndarray) -> None:
        """Say what looks wrong, each thing once.

        Args:
            data: that is learned from.
            outputs: the model's, of the validation texts, shape (n, labels).
        """
        findings = diagnose(
            data.labels.task,
            data.targets,
            outputs,
            self._history.rows,
            data.validation_targets,
            data.labels.names,
        )
        for finding in findings:
            if finding not in self._findings:
                self._findings.append(finding)
                say(self._console, f"look: {finding}")

    def _add(self, progress: Progress, **values: Any) -> Row:
        row = self._history.add(step=progress.num_steps, **values)
        progress.num_rows = len(self._history.rows)
        self._trackers.log(row)
        return row
