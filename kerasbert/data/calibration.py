"""Probabilities corrected to what was seen on held-out examples, kept with the labels."""

import dataclasses

import numpy as np

from kerasbert.config_checks import check, check_choice

METHODS = ("temperature", "isotonic")
# Logarithms of probabilities are taken no nearer to 0 and 1 than this.
EPSILON = 1e-7
# Further from 1 than this, powers of probabilities are no numbers any more.
_LARGEST = 100

Curve = tuple[tuple[float, ...], tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A correction of a classifier's probabilities; `kerasbert.deciding.calibrating` finds one.

    Attributes:
        method: `"temperature"`: what goes into the softmax, or the sigmoids, is divided by a number
            (Guo et al., 2017, https://arxiv.org/abs/1706.04599). `"isotonic"`: a rising curve per
            label from probability to probability (Zadrozny and Elkan, 2002).
        temperatures: one number, above 0, for a softmax; one per label for sigmoids; empty for
            isotonic.
        curves: per label where the curve bends, as probabilities before and after, both rising;
            for binary, that of the second label; empty for temperature.
    """

    method: str
    temperatures: tuple[float, ...] = ()
    curves: tuple[tuple[tuple[float, ...], ...], ...] = ()

    def __post_init__(self):
        check_choice(self, "method", METHODS)
        is_temperature = self.method == "temperature"
        check(
            self,
            "temperatures",
            bool(self.temperatures) == is_temperature
            and all(1 / _LARGEST <= each <= _LARGEST for each in self.temperatures),
            f"be numbers from {1 / _LARGEST} to {_LARGEST} for temperature, and empty for isotonic",
        )
        check(
            self,
            "curves",
            bool(self.curves) != is_temperature and all(map(_is_rising, self.curves)),
            "be pairs of rising lists for isotonic, and empty for temperature",
        )

    @property
    def num_parts(self) -> int:
        """Temperatures, or curves."""
        return len(self.temperatures) or len(self.curves)

    def __call__(self, outputs: np.ndarray, is_softmax: bool) -> np.ndarray:
        """Correct probabilities.

        Args:
            outputs: of shape (n, labels), rows that add up to 1 if they come of a softmax.
            is_softmax: whether they do.

        Returns:
            float32 of the same shape; rows of a softmax add up to 1 as before.
        """
        # In float64: near 1, float32 has too few numbers to take logarithms of.
        outputs = outputs.astype(np.float64)
        if self.method == "temperature":
            temperatures = np.array(self.temperatures)
            powers = (outputs.clip(EPSILON, 1) ** (1 / temperatures),)
            if not is_softmax:
                powers += ((1 - outputs).clip(EPSILON, 1) ** (1 / temperatures),)
                return (powers[0] / (powers[0] + powers[1])).astype(np.float32)
            return (powers[0] / powers[0].sum(axis=1, keepdims=True)).astype(np.float32)
        if is_softmax and len(self.curves) == 1:  # binary
            second = np.interp(outputs[:, 1], *self.curves[0])
            return np.stack([1 - second, second], axis=1).astype(np.float32)
        columns = [np.interp(outputs[:, k], *curve) for k, curve in enumerate(self.curves)]
        corrected = np.stack(columns, axis=1)  # (n, labels)
        if is_softmax:
            corrected /= corrected.sum(axis=1, keepdims=True).clip(EPSILON)
        return corrected.astype(np.float32)


def _is_rising(curve: tuple[tuple[float, ...], ...]) -> bool:
    return (
        len(curve) == 2
        and len(curve[0]) == len(curve[1]) > 0
        and all(
            all(0 <= value <= 1 for value in values) and list(values) == sorted(values)
            for values in curve
        )
    )
