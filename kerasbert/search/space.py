"""A search space looked through before the first trial."""

import dataclasses
from collections.abc import Callable

from keras_tuner import HyperParameters

from kerasbert.config import FitConfig
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.models.base import read_encoder_config
from kerasbert.models.pretrained import Bases
from kerasbert.models.resolving import resolve_model_config


def check_space(
    space: HyperParameters,
    settings: Callable[[HyperParameters], FitConfig],
    labels: Labels,
    bases: Bases,
) -> None:
    """Refuse a space of one point, and values that no base can be trained with.

    Each value of a choice, and both ends of a range, is tried in the place of the default: a
    mistyped one would else fail in each of its trials.

    Args:
        space: what is searched.
        settings: gives those of a trial.
        labels: of the data.
        bases: finds the pretrained ones.

    Raises:
        FileNotFoundError, InputError: such a value, or a base that is not there.
    """
    if not space.space:
        raise InputError(
            "There is nothing to search: each setting has one value. Give one a range, such as "
            "--learning-rate 1e-5 1e-2."
        )
    for hyperparameter in space.space:
        for value in getattr(hyperparameter, "values", None) or ():
            point = space.copy()
            point.values[hyperparameter.name] = value
            point.ensure_active_values()
            if point.is_active(hyperparameter):
                model = settings(point).model
                directory = bases.find(model.base)
                model = dataclasses.replace(model, task=labels.task, num_labels=len(labels.names))
                resolve_model_config(model, read_encoder_config(directory), directory)
