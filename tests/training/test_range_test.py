import numpy as np
import pytest

from kerasbert.data.dataset import read_dataset
from kerasbert.errors import InputError
from kerasbert.training.range_test import RangeTest, Rising, find_learning_rate, smooth
from tests.conftest import toy_config


def test_rates_rise_by_the_same_factor():
    rates = np.asarray(Rising(1e-4, 1e-1, 4)(np.arange(4)))
    np.testing.assert_allclose(rates, [1e-4, 1e-3, 1e-2, 1e-1], rtol=1e-4)


def test_smoothing_begins_at_the_first_loss():
    # 0.1 · 2 / 0.1, then (0.9 · 0.2 + 0.1 · 1) / (1 - 0.81).
    np.testing.assert_allclose(smooth([2.0, 1.0]), [2.0, 0.28 / 0.19])
    np.testing.assert_allclose(smooth([3.0] * 20), 3.0)


def test_a_tenth_of_the_rate_with_the_lowest_loss():
    rates = np.logspace(-5, 0, 51)
    # Falls to its lowest at 10^-2, then rises; averaging moves that by little.
    found = RangeTest(rates, np.abs(np.log10(rates) + 2) + 1)
    assert 1e-2 <= found.lowest <= 5e-2
    assert found.proposal == pytest.approx(found.lowest / 10, rel=0.5)
    assert found.proposal == float(f"{found.proposal:.1g}")


def test_a_lucky_first_batch_is_passed_over():
    losses = np.concatenate([[0.01], np.linspace(2, 1, 30), np.linspace(1, 3, 10)])
    found = RangeTest(np.logspace(-5, 0, 41), losses)
    assert found.lowest > 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_noise_proposes_nothing(seed):
    losses = 1 + 0.1 * np.random.default_rng(seed).normal(size=60)
    with pytest.raises(InputError, match="The loss fell at no step size"):
        RangeTest(np.logspace(-7, -1, 60), losses)


def test_a_loss_that_only_rises_proposes_nothing():
    with pytest.raises(InputError, match="The loss fell at no step size"):
        RangeTest(np.logspace(-5, 0, 30), np.arange(30.0) + 1)


@pytest.mark.parametrize(
    "settings", [{"freeze_base": True, "max_steps": 100}, {"max_steps": 40}], ids=str
)
def test_what_it_finds_can_be_trained_with(settings, toy_base, comments_csv):
    config = toy_config(toy_base(), comments_csv, pooling="mean", head="linear", **settings)
    found = find_learning_rate(config, read_dataset(config.data, 0))
    assert len(found.rates) == len(found.losses) == len(found.smoothed) <= settings["max_steps"]
    assert (np.diff(found.rates) > 0).all()
    assert found.rates[0] < found.proposal < found.rates[-1]
    assert found.lowest in found.rates


def test_several_steps_in_one_call_find_the_same(toy_base, comments_csv, monkeypatch):
    settings = {"freeze_base": True, "max_steps": 99, "pooling": "mean", "head": "linear"}
    config = toy_config(toy_base(), comments_csv, **settings)
    found = []
    for steps_per_call in (1, 3):
        monkeypatch.setattr("kerasbert.training.parts.STEPS_PER_CALL", steps_per_call)
        found.append(find_learning_rate(config, read_dataset(config.data, 0)))
    np.testing.assert_array_equal(found[0].losses, found[1].losses)
    assert found[0].proposal == found[1].proposal
