"""Calibration: what corrects a model's probabilities, found on held-out examples."""

import numpy as np
import scipy.optimize

from kerasbert.data.calibration import Calibration
from kerasbert.data.labels import Labels
from kerasbert.tasks import UNKNOWN

# A label with fewer examples, or fewer others, has no temperature of its own.
_MIN_FOR_TEMPERATURE = 20
# scikit-learn's advice for isotonic calibration; and what a rising curve needs at its upper end.
_MIN_ROWS, _MIN_FOR_CURVE = 1000, 100
# Further from 1 than this, nothing is calibrated by a temperature.
_LARGEST = 20.0
_EPSILON = 1e-7


def find_calibration(
    labels: Labels, targets: np.ndarray, outputs: np.ndarray, method: str
) -> Calibration | None:
    """Find what corrects a model's probabilities.

    Args:
        labels: of binary, multiclass or multilabel.
        targets: from `labels.encode`, of n rows.
        outputs: the model's own probabilities, of shape (n, labels).
        method: `"none"`; `"temperature"`, which makes the likelihood of the rows largest;
            `"isotonic"`, whose curves follow noise where `isotonic_shortfall` says so; or
            `"auto"`, isotonic where there are rows enough for it.
    """
    if method == "none":
        return None
    if method == "auto":
        method = "temperature" if isotonic_shortfall(labels, targets) else "isotonic"
    find = _isotonic if method == "isotonic" else _temperature
    return find(labels, targets, outputs)


def isotonic_shortfall(labels: Labels, targets: np.ndarray) -> str | None:
    """Why there are too few rows for isotonic calibration, in a sentence, or None."""
    names = labels.names[1:] if labels.task == "binary" else labels.names
    for name, (truth, _) in zip(names, _curve_data(labels, targets, None), strict=True):
        rarer = int(min(truth.sum(), len(truth) - truth.sum()))
        if len(truth) < _MIN_ROWS or rarer < _MIN_FOR_CURVE:
            return (
                f"Isotonic calibration needs {_MIN_ROWS:,} rows and {_MIN_FOR_CURVE} examples of "
                f"each kind per label. Received: {len(truth):,} rows, and {rarer:,} of the rarer "
                f"kind for {name!r}."
            )
    return None


def _temperature(labels: Labels, targets: np.ndarray, outputs: np.ndarray) -> Calibration:
    if labels.task != "multilabel":

        def loss(temperature: float) -> float:
            found = Calibration("temperature", (temperature,))(outputs, is_softmax=True)
            return -np.log(found[np.arange(len(targets)), targets].clip(_EPSILON)).mean()

        return Calibration("temperature", (_smallest(loss),))
    known = targets != UNKNOWN  # (n, labels)
    shared = _of_sigmoid(targets[known], outputs[known])
    temperatures = []
    for column in range(len(labels.names)):
        rows = known[:, column]
        truth = targets[rows, column]
        is_enough = min((truth == 1).sum(), (truth == 0).sum()) >= _MIN_FOR_TEMPERATURE
        own = _of_sigmoid(truth, outputs[rows, column]) if is_enough else shared
        temperatures.append(own)
    return Calibration("temperature", tuple(temperatures))


def _of_sigmoid(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature of one or several sigmoids, of shape (n,)."""

    def loss(temperature: float) -> float:
        found = Calibration("temperature", (temperature,))(probabilities[:, None], False)[:, 0]
        return -np.log(np.where(truth == 1, found, 1 - found).clip(_EPSILON)).mean()

    return _smallest(loss)


def _smallest(loss) -> float:
    """The temperature with the smallest loss, looked for on a logarithmic scale."""
    limit = np.log(_LARGEST)
    found = scipy.optimize.minimize_scalar(
        lambda power: loss(float(np.exp(power))), bounds=(-limit, limit), method="bounded"
    )
    return round(float(np.exp(found.x)), 6)


def _isotonic(labels: Labels, targets: np.ndarray, outputs: np.ndarray) -> Calibration:
    # Slow to import, and not needed to print a help text.
    from sklearn.isotonic import IsotonicRegression

    curves = []
    for truth, probabilities in _curve_data(labels, targets, outputs):
        # Nothing that was never seen in n rows is impossible (Laplace's rule of succession).
        least = 1 / (len(truth) + 2)
        regression = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
        regression.fit(probabilities.astype(float), truth.astype(float))
        bends = (regression.X_thresholds_, regression.y_thresholds_)
        curves.append(tuple(tuple(np.round(values, 7).tolist()) for values in bends))
    return Calibration("isotonic", curves=tuple(curves))


def _curve_data(labels: Labels, targets: np.ndarray, outputs: np.ndarray | None):
    """Per curve which rows are positive, and their probabilities, if there are any."""
    if labels.task == "multilabel":
        columns = range(len(labels.names))
        rows = [targets[:, column] != UNKNOWN for column in columns]
        truths = [targets[known, column] == 1 for column, known in zip(columns, rows, strict=True)]
    else:
        columns = [1] if labels.task == "binary" else range(len(labels.names))
        rows = [slice(None)] * len(columns)
        truths = [targets == column for column in columns]
    for column, known, truth in zip(columns, rows, truths, strict=True):
        yield truth, None if outputs is None else outputs[known, column]
