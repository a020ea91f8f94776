"""Dataset to trained classifier."""

import contextlib
import json
from pathlib import Path

from rich.console import Console

from kerasbert.config import FitConfig
from kerasbert.config_json import to_json
from kerasbert.data.dataset import Dataset, read_dataset
from kerasbert.data.facts import data_facts
from kerasbert.deciding.choosing import choose_decision
from kerasbert.judged import Judged
from kerasbert.models.lora import merge_lora
from kerasbert.models.running import running_precision, training_precision
from kerasbert.run import Run
from kerasbert.training.console import say
from kerasbert.training.parts import Part
from kerasbert.training.preparing import Prepared, prepare
from kerasbert.training.shared import Shared
from kerasbert.training.trackers import open_trackers
from kerasbert.training.trainer import Trainer
from kerasbert.training.unfinished import Unfinished, settings_digest


def fit_classifier(
    config: FitConfig,
    dataset: Dataset | None = None,
    *,
    unfinished: str | Path | None = None,
    shared: Shared | None = None,
    console: Console | None = None,
) -> Run:
    """Train a classifier and score it.

    Args:
        config: what to do. What it says of outputs, seeds and folds is not looked at; see
            `kerasbert.save`.
        dataset: examples to use, instead of reading the files that `config.data` names.
        unfinished: directory for checkpoints and for the history while it grows. With
            `config.resume` the training goes on from the last checkpoint there. Whoever has saved
            the run removes it. Default: no checkpoints.
        shared: what several trainings in this process have in common, so that it is done once.
            The numbers are the same without it.
        console: where to show what is frozen, bars and numbers. Default: nothing is shown.

    Returns:
        The trained model with its config, labels, tokenizer, history, and a report on `validation`
        and, if there are test examples, on `test`. Ctrl-C ends the training after its step; the run
        is then what was best so far, and says in `training` that it was interrupted.

    Raises:
        FileNotFoundError, InputError: a file, a setting or the base cannot be used.
        TrainingError: the loss is no longer a number, memory is out, or a frozen weight moved.

    Example:
        >>> run = fit_classifier(FitConfig(model=ModelConfig(freeze_base=True)))
        >>> round(run.report["validation"]["accuracy"], 1)
        0.8
    """
    console = console or Console(quiet=True)
    dataset = dataset or read_dataset(config.data, config.train.seed)
    shared = shared or Shared(keep=False)
    prepared = prepare(config, dataset, console, shared)
    asked, config, data = config, prepared.config, prepared.data
    place = None if unfinished is None else Unfinished(unfinished)
    with contextlib.ExitStack() as stack:
        trainer = stack.enter_context(
            Trainer(prepared.model, config, data, shared=shared, unfinished=place, console=console)
        )
        checkpoint = None
        if place is not None:
            stack.callback(place.close)
            checkpoint = place.begin(asked, prepared.digests())
        if asked.resume and checkpoint is None:
            say(console, "there is no checkpoint of these settings: beginning at the beginning")
        trackers = stack.enter_context(
            open_trackers(
                config.record,
                place.directory if place else None,
                config,
                state=checkpoint.values["trackers"] if checkpoint else None,
            )
        )
        trainer.train(checkpoint, trackers)
        judged = _judged(trainer.part, prepared, dataset)
        report = {name: part.report for name, part in judged.items()}
        trackers.report(report)
    model, model_config = prepared.model, config.model
    if not config.keep_lora:
        model, model_config = merge_lora(model, model_config)
    return Run(
        model,
        model_config,
        judged["validation"].labels,
        prepared.tokenizer,
        precision=training_precision(config.train.precision),
        running_precision=running_precision(config.train.precision, config.model.encoder),
        fit=json.loads(to_json(config)),
        report=report,
        training=trainer.summary() | {"settings": settings_digest(asked)},
        data=data_facts(dataset),
        history=trainer.history.rows,
        judged=judged,
    )


def _judged(part: Part, prepared: Prepared, dataset: Dataset) -> dict[str, Judged]:
    """What the trained model says of the held-out examples; those of the validation decide how."""
    data = prepared.data
    outputs = part.outputs(data.validation_tokens)
    judged = {"validation": Judged(data.labels, dataset.validation, outputs)}
    if dataset.test is not None:
        outputs = part.outputs(prepared.tokenizer(dataset.test.texts, dataset.test.pairs))
        judged["test"] = Judged(data.labels, dataset.test, outputs)
    labels = choose_decision(judged["validation"], prepared.config.decision)
    return {name: part.decided_by(labels) for name, part in judged.items()}
