"""The training itself: phases, epochs and steps, and what happens between them."""

import math
from typing import Any

import keras
import numpy as np
from rich.console import Console

from kerasbert.config import FitConfig
from kerasbert.data.pipeline import training_batches
from kerasbert.errors import InputError, TrainingError
from kerasbert.history import History
from kerasbert.metrics import build_report
from kerasbert.models.running import build_forward, running_precision
from kerasbert.scoring import score_taken
from kerasbert.training.callbacks import FreezingProof, StepNumbers, Steps
from kerasbert.training.console import say
from kerasbert.training.interruption import Interruption, interruption
from kerasbert.training.memory import out_of_memory_explained, resident_mb
from kerasbert.training.parts import Part, trained_part
from kerasbert.training.phases import Phase
from kerasbert.training.plan import plan_training
from kerasbert.training.preparing import TrainingData
from kerasbert.training.recorder import Recorder
from kerasbert.training.shared import Shared
from kerasbert.training.state import Progress, State
from kerasbert.training.trackers import Trackers
from kerasbert.training.unfinished import Checkpoint, CheckpointTimer, Unfinished

# Seconds of training without a checkpoint that are worth one at the end.
_WORTH_KEEPING = 60


class Trainer:
    """Trains a classifier as a config says. A context manager, which gives up what it kept.

    Args:
        model: from `build_classifier`.
        config: of the run, with nothing left to derive.
        data: to learn from.
        shared: what other trainings in this process may have done already.
        unfinished: where checkpoints go; None for none.
        console: where to show bars and numbers.

    Attributes:
        history: a row per step and per epoch.
        part: what is trained; after training it gives the model's outputs.
        findings: what looked wrong, a sentence each.
        interrupted: the `epoch` and `step` at which Ctrl-C ended it; else None.
    """

    def __init__(
        self,
        model: keras.Model,
        config: FitConfig,
        data: TrainingData,
        *,
        shared: Shared,
        unfinished: Unfinished | None,
        console: Console,
    ):
        self._model, self._config, self._data = model, config, data
        self._shared, self._unfinished, self._console = shared, unfinished, console
        self._precision = running_precision(config.train.precision, config.model.encoder)
        self.plan = plan_training(
            config,
            data.labels,
            data.targets,
            num_blocks=model.get_layer("encoder").facts.num_blocks,
        )
        self._state = State(model, config, self.plan)
        self._progress = Progress()
        self._timer: CheckpointTimer | None = None
        self._asked = Interruption()
        self.history = History()
        self.part: Part | None = None
        self.findings: list[str] = []
        self.interrupted: dict[str, int] | None = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.part is not None:
            self.part.close()

    def train(self, checkpoint: Checkpoint | None, trackers: Trackers) -> None:
        """Train to the end, or until it is asked to stop; the weights are then the best ones.

        Args:
            checkpoint: where to go on; None to begin.
            trackers: whom each row of the history is shown to.

        Raises:
            TrainingError: the loss is no longer a number, memory is out, or a frozen weight moved.
            KeyboardInterrupt: Ctrl-C between two epochs, or a second one.
        """
        self._trackers, plan = trackers, self.plan
        if checkpoint is not None:
            self._progress = self._state.restore(checkpoint)
            self.findings += checkpoint.values["findings"]
            done = self._progress.num_steps
            say(self._console, f"going on after step {done:,} of {plan.num_steps:,}")
        if self._unfinished is not None:
            self.history = History(self._unfinished.history, self._progress.num_rows)
            self._timer = CheckpointTimer(self._config.record)
        self._recorder = Recorder(
            plan,
            self._config.record,
            history=self.history,
            findings=self.findings,
            trackers=trackers,
            console=self._console,
        )
        with self._recorder:
            for phase in plan.phases:
                if phase.end <= self._progress.epoch and phase is not plan.phases[-1]:
                    continue
                self._enter(phase)
                while self._progress.epoch < phase.end and not self._is_over():
                    with interruption(self._console, self._asked):
                        self._run_epoch()
                if self._is_over():
                    break
        self._settle()

    def summary(self) -> dict[str, Any]:
        """What became of it, as JSON values."""
        progress = self._progress
        return {
            "epochs": progress.epoch,
            "steps": progress.num_steps,
            "num_trained": self._num_trained,
            "best_epoch": progress.best_epoch or None,
            "monitor": self._config.train.monitor,
            "findings": self.findings,
            "interrupted": self.interrupted,
        }

    def _enter(self, phase: Phase) -> None:
        """Freeze and compile for a phase's epochs."""
        if self.part is not None:
            self.part.close()
        phase.freeze(self._model)
        self._state.adamw.open(self._model.trainable_variables)
        data, train = self._data, self._config.train
        self._num_trained = sum(math.prod(v.shape) for v in self._model.trainable_variables)
        if len(self.plan.phases) > 1:
            say(
                self._console,
                f"from epoch {phase.start + 1}: {self._num_trained:,} weights are trained",
            )
        with self._memory_watched():
            self.part = trained_part(
                self._model,
                phase.config,
                train,
                self._precision,
                data.tokens,
                self._console,
                shared=self._shared,
                num_epochs=phase.num_epochs,
            )
            self._source = self.part.source(data.tokens)
            self._validation_source = self.part.source(data.validation_tokens)
        self.part.compile(
            data.labels.task, self._state.optimizer, self.plan.loss, train.gradient_accumulation
        )
        self._forward = build_forward(self.part.trained)
        self._callbacks = [
            FreezingProof(self._console, self._model, train.gradient_accumulation),
            Steps(self._on_steps, train.gradient_accumulation),
        ]

    def _run_epoch(self) -> None:
        """Take the steps of the current epoch that are left, and validate if none is then."""
        progress, train, plan = self._progress, self._config.train, self.plan
        num_steps = plan.steps_in(progress.epoch)
        self._recorder.begin_epoch(progress)
        if progress.step < num_steps:
            batches = training_batches(
                self._source,
                self._data.targets,
                batch_size=train.batch_size,
                seed=train.seed,
                epoch=progress.epoch,
                bucket=train.bucket,
                accumulation=train.gradient_accumulation,
                skip=progress.step,
            )
            # The last epoch may be cut short.
            batches = batches.take((num_steps - progress.step) * train.gradient_accumulation)
            with self._memory_watched():
                self.part.trained.fit(
                    batches,
                    initial_epoch=progress.epoch,
                    epochs=progress.epoch + 1,
                    shuffle=False,  # the batches are shuffled already
                    verbose=0,
                    callbacks=self._callbacks,
                )
        if progress.step >= num_steps:
            self._recorder.validating()
            self._end_epoch()
            self._write_checkpoint()

    def _on_steps(self, steps: list[StepNumbers]) -> bool:
        """Count the steps of a call and write them down; whether to stop after it."""
        progress, memory_mb = self._progress, resident_mb()
        for step in steps:
            if not math.isfinite(step.loss):
                where = f"at step {progress.step + 1} of epoch {progress.epoch + 1}"
                raise _not_a_number(where, step.loss)
            progress.step += 1
            progress.num_steps += 1
            progress.losses += step.loss
            progress.accuracies += step.accuracy or 0.0
            progress.seconds += step.seconds
            self._recorder.step(progress, memory_mb=memory_mb, **step._asdict())
        # Only here, where the weights are those of the last step that is counted.
        self._write_checkpoint(num_new=len(steps))
        return self._asked.is_asked

    def _end_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, and write the epoch's row."""
        progress, data, monitor = self._progress, self._data, self._config.train.monitor
        with self._state.averaged(), self._memory_watched():
            source = self._validation_source
            outputs = score_taken(self._forward, source.take, source.lengths)
            if not np.isfinite(outputs).all():
                raise _not_a_number(f"on the validation data after epoch {progress.epoch + 1}")
            report = build_report(data.labels, data.validation_targets, outputs)
            value = report.get(monitor.removeprefix("val_"))
            if value is None:
                raise InputError(
                    f"--monitor {monitor} has no value for {data.labels.task} on these "
                    "validation data. Name another one."
                )
            if progress.is_better(value, monitor):
                self._state.keep_best()
                progress.best_epoch, progress.best_value = progress.epoch + 1, value
        progress.epoch += 1
        self._recorder.end_epoch(progress, report)
        if progress.epoch == 1 or self._is_over():
            self._recorder.look(data, outputs)
        progress.begin_epoch()

    def _is_over(self) -> bool:
        progress, patience = self._progress, self._config.train.patience
        if self._asked.is_asked or progress.epoch == self.plan.num_epochs:
            return True
        # Not before all is opened that is to be: what comes last may be what helps.
        waited = progress.epoch - max(progress.best_epoch, self.plan.phases[-1].start)
        return patience is not None and waited >= patience

    def _settle(self) -> None:
        """Leave the model with the weights to be kept."""
        progress, train = self._progress, self._config.train
        if self._timer is not None and self._timer.waited > _WORTH_KEEPING:
            self._write_checkpoint(is_due=True)  # in case that the run cannot be saved
        if self._asked.is_asked and progress.epoch < self.plan.num_epochs:
            self.interrupted = {"epoch": progress.epoch + 1, "step": progress.num_steps}
        if progress.best_epoch and (self.interrupted or train.patience is not None):
            self._state.restore_best()
            say(
                self._console,
                f"kept: the weights after epoch {progress.best_epoch}, with the best "
                f"{train.monitor}, {progress.best_value:.4f}",
            )
        else:
            self._state.use_averages()

    def _write_checkpoint(self, is_due: bool = False, num_new: int = 1) -> None:
        """Write one where it is due, and where the training is about to be left."""
        if self._timer is None:
            return
        if is_due or self._asked.is_asked or self._timer.is_due(self._progress.num_steps, num_new):
            checkpoint = self._state.checkpoint(
                self._progress, findings=self.findings, trackers=self._trackers.state()
            )
            self._unfinished.write(self._progress.num_steps, checkpoint)
            self._timer.restart()

    def _memory_watched(self):
        train = self._config.train
        return out_of_memory_explained(
            train.batch_size,
            int(self._data.tokens.lengths.max()),
            gradient_accumulation=train.gradient_accumulation,
        )


def _not_a_number(where: str, loss: float = math.nan) -> TrainingError:
    return TrainingError(
        f"The loss became {loss} {where}, so training was stopped and nothing was saved. "
        "Try a smaller --learning-rate, or --precision float32."
    )
