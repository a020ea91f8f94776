import keras
import numpy as np
import pytest

from kerasbert.errors import InputError
from kerasbert.models.schedules import InTurn, WarmupThenDecay


def rates_of(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_linear_by_hand():
    schedule = WarmupThenDecay(0.5, 20)
    # Two steps of warming up, then 18 down: 9 of them are left at step 11.
    np.testing.assert_allclose(
        rates_of(schedule, (0, 1, 2, 11, 19, 20, 25)),
        [0.25, 0.5, 0.5, 0.25, 0.5 / 18, 0, 0],
        atol=1e-7,
    )


def test_cosine_by_hand():
    schedule = WarmupThenDecay(2.0, 10, "cosine", 0.2)
    # Two steps up; of the 8 down a quarter, a half, three quarters and all are gone.
    np.testing.assert_allclose(
        rates_of(schedule, (0, 1, 2, 4, 6, 8, 10, 12)),
        [1, 2, 2, 1 + np.sqrt(0.5), 1, 1 - np.sqrt(0.5), 0, 0],
        atol=1e-6,
    )


def test_constant_by_hand():
    schedule = WarmupThenDecay(0.3, 10, "constant", 0.3)
    np.testing.assert_allclose(
        rates_of(schedule, (0, 1, 2, 3, 9, 10, 99)), [0.1, 0.2, *[0.3] * 5], atol=1e-7
    )


@pytest.mark.parametrize(
    ("warmup", "num_steps", "num_rising"),
    [(0.0, 20, 1), (0.1, 20, 2), (0.5, 20, 10), (0.1, 5, 1), (0.15, 10, 2), (0.9, 10, 9)],
)
@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_it_rises_over_its_share_of_the_steps_rounded_up(kind, warmup, num_steps, num_rising):
    rates = rates_of(WarmupThenDecay(1.0, num_steps, kind, warmup), range(num_steps))
    np.testing.assert_allclose(
        rates[:num_rising], (1 + np.arange(num_rising)) / num_rising, atol=1e-6
    )
    assert (np.diff(rates[num_rising:]) <= 0).all()
    assert min(rates) > 0  # no step is lost
    assert max(rates) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_without_warm_up_the_first_step_is_the_highest(kind):
    rates = rates_of(WarmupThenDecay(0.5, 4, kind, 0.0), range(5))
    assert rates[0] == 0.5
    assert (np.diff(rates) < 0).all()
    assert rates[4] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.9])
def test_a_schedule_of_one_step(kind, warmup):
    assert float(WarmupThenDecay(0.5, 1, kind, warmup)(0)) == 0.5


def two_in_turn():
    head, all_else = WarmupThenDecay(1e-2, 6, warmup=0.5), WarmupThenDecay(2.0, 10, "cosine", 0.2)
    return InTurn([head, all_else], [0, 6])


@pytest.mark.parametrize(
    "schedule",
    [
        WarmupThenDecay(0.5, 20),
        WarmupThenDecay(0.5, 20, "cosine", 0.0),
        WarmupThenDecay(0.5, 20, "constant"),
        two_in_turn(),
    ],
    ids=["linear", "cosine", "constant", "in turn"],
)
def test_a_vector_of_steps_is_one_step_after_the_other(schedule):
    together = np.asarray(schedule(np.arange(24)))
    assert together.shape == (24,)
    np.testing.assert_allclose(together, rates_of(schedule, range(24)), rtol=1e-6, atol=1e-9)
    as_tensors = [float(schedule(keras.ops.convert_to_tensor(step))) for step in range(24)]
    np.testing.assert_allclose(as_tensors, together, rtol=1e-6, atol=1e-9)


def test_in_turn_each_counts_from_0():
    schedule = two_in_turn()
    first, second = schedule.schedules
    rates = rates_of(schedule, range(16))
    np.testing.assert_allclose(rates[:6], rates_of(first, range(6)))
    np.testing.assert_allclose(rates[6:], rates_of(second, range(10)))
    # The last step of the first is a third of its height; the next has half of the second's.
    assert rates[5] == pytest.approx(1e-2 / 3)
    assert rates[6:8] == pytest.approx([1.0, 2.0])


def test_three_in_turn():
    constants = [WarmupThenDecay(peak, 9, "constant", 0.0) for peak in (1.0, 2.0, 3.0)]
    assert rates_of(InTurn(constants, [0, 2, 3]), range(5)) == [1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    "schedule", [WarmupThenDecay(1e-3, 40, "cosine", 0.25), two_in_turn()], ids=["one", "in turn"]
)
def test_serialised_there_and_back(schedule):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert rates_of(again, range(20)) == rates_of(schedule, range(20))


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(InputError) as caught:
        WarmupThenDecay(1.0, 10, "cosin")
    assert str(caught.value) == (
        "`kind` must be one of 'linear', 'cosine', 'constant'. Received: kind='cosin'. "
        "Did you mean 'cosine'?"
    )
