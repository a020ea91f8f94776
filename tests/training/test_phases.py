import numpy as np
import pytest

from kerasbert.config import ModelConfig
from kerasbert.config_train import OptimizerConfig, TrainConfig
from kerasbert.errors import InputError
from kerasbert.models.schedules import WarmupThenDecay
from kerasbert.training.phases import plan_phases, plan_schedule


def phases_of(model=None, *, num_epochs=4, num_blocks=2, **train):
    return plan_phases(
        ModelConfig(**model or {}), TrainConfig(**train), num_epochs=num_epochs,
        num_blocks=num_blocks,
    )  # fmt: skip


def opened(phases, num_blocks=2):
    """Each phase's epochs, and what of the base is open in them, from the top."""
    parts = ["embeddings", *(f"block {number}" for number in range(1, num_blocks + 1))]

    def is_frozen(config, place):
        if config.freeze_base:
            return True
        return place <= config.freeze_layers if place else (
            config.freeze_embeddings or config.freeze_layers > 0
        )  # fmt: skip

    return [
        (
            phase.start,
            phase.end,
            [parts[i] for i in range(num_blocks, -1, -1) if not is_frozen(phase.config, i)],
        )
        for phase in phases
    ]


ALL = ["block 2", "block 1", "embeddings"]


def test_one_phase_unless_the_base_is_opened_on_the_way():
    config = ModelConfig(freeze_layers=1)
    (phase,) = plan_phases(config, TrainConfig(), num_epochs=3, num_blocks=2)
    assert (phase.start, phase.end, phase.num_epochs) == (0, 3, 3)
    assert phase.config is config


def test_the_head_alone_and_then_all():
    phases = phases_of(unfreeze_from=3)
    assert opened(phases) == [(0, 2, []), (2, 4, ALL)]
    assert [phase.num_epochs for phase in phases] == [2, 2]
    assert phases[-1].config == ModelConfig()


def test_one_block_an_epoch_from_the_top_and_the_embeddings_last():
    assert opened(phases_of(unfreeze_from=2, gradual=True)) == [
        (0, 1, []),
        (1, 2, ["block 2"]),
        (2, 3, ["block 2", "block 1"]),
        (3, 4, ALL),
    ]


def test_once_all_is_open_it_stays_so():
    phases = phases_of(num_epochs=9, unfreeze_from=3, gradual=True)
    assert opened(phases)[-2:] == [(3, 4, ["block 2", "block 1"]), (4, 9, ALL)]


@pytest.mark.parametrize(
    ("num_epochs", "counts"),
    [
        (2, [7]),
        (3, [4, 7]),  # halves of 7, rounded up
        (4, [3, 5, 7]),
        (7, [2, 3, 4, 5, 6, 7]),
        (8, [1, 2, 3, 4, 5, 6, 7]),
        (20, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_with_fewer_epochs_than_blocks_several_are_opened_at_once(num_epochs, counts):
    phases = phases_of(num_epochs=num_epochs, num_blocks=6, unfreeze_from=2, gradual=True)
    found = opened(phases, num_blocks=6)
    assert [len(parts) for _, _, parts in found] == [0, *counts]
    order = [*(f"block {number}" for number in range(6, 0, -1)), "embeddings"]
    assert all(parts == order[: len(parts)] for _, _, parts in found)


@pytest.mark.parametrize("num_blocks", [1, 2, 6])
@pytest.mark.parametrize("gradual", [True, False])
@pytest.mark.parametrize("frozen", [{}, {"freeze_layers": 1}, {"freeze_embeddings": True}], ids=str)
def test_phases_follow_each_other_to_the_end(num_blocks, gradual, frozen):
    epochs = [(num_epochs, first) for num_epochs in range(2, 12) for first in range(2, num_epochs)]
    for num_epochs, unfreeze_from in epochs:
        phases = phases_of(
            frozen,
            num_epochs=num_epochs,
            num_blocks=num_blocks,
            unfreeze_from=unfreeze_from,
            gradual=gradual,
        )
        assert phases[0].end == phases[1].start == unfreeze_from - 1
        assert [phase.start for phase in phases] == [0, *(phase.end for phase in phases[:-1])]
        assert phases[-1].end == num_epochs
        assert all(phase.num_epochs > 0 for phase in phases)
        assert phases[-1].config == ModelConfig(**frozen)


def test_blocks_that_are_frozen_stay_so():
    phases = phases_of({"freeze_layers": 2}, num_blocks=4, unfreeze_from=2, gradual=True)
    assert opened(phases, 4) == [(0, 1, []), (1, 2, ["block 4"]), (2, 4, ["block 4", "block 3"])]


def test_embeddings_that_are_frozen_stay_so():
    phases = phases_of({"freeze_embeddings": True}, unfreeze_from=2, gradual=True)
    assert opened(phases) == [(0, 1, []), (1, 2, ["block 2"]), (2, 4, ["block 2", "block 1"])]


def test_with_all_blocks_frozen_there_is_what_stands_on_them():
    phases = phases_of({"freeze_layers": 2}, unfreeze_from=2, gradual=True)
    assert opened(phases) == [(0, 1, []), (1, 4, [])]
    # A pooler is above the blocks.
    assert [phase.config.freeze_base for phase in phases] == [True, False]


@pytest.mark.parametrize("gradual", [True, False])
def test_a_training_that_ends_before_the_base_is_opened_is_refused(gradual):
    with pytest.raises(InputError) as caught:
        phases_of(num_epochs=2, unfreeze_from=3, gradual=gradual)
    assert str(caught.value) == (
        "`unfreeze_from` must be at most 2, the number of epochs that the training has. "
        "Received: unfreeze_from=3."
    )
    assert phases_of(num_epochs=3, unfreeze_from=3, gradual=gradual)


# The step size


def rates(num_steps, steps_per_epoch, **train):
    train = {"learning_rate": 1.0, "head_learning_rate": 0.25} | train
    schedule = plan_schedule(
        phases_of(**train),
        TrainConfig(**train),
        OptimizerConfig(schedule="cosine", warmup=0.2),
        num_steps=num_steps,
        steps_per_epoch=steps_per_epoch,
    )
    return np.asarray(schedule(np.arange(num_steps)))


def of_one(peak, num_steps):
    return np.asarray(WarmupThenDecay(peak, num_steps, "cosine", 0.2)(np.arange(num_steps)))


def test_one_schedule_over_all_steps():
    np.testing.assert_allclose(rates(20, 5), of_one(1.0, 20))


@pytest.mark.parametrize("gradual", [True, False])
def test_the_head_alone_has_a_schedule_of_its_own(gradual):
    found = rates(20, 5, unfreeze_from=3, gradual=gradual)
    np.testing.assert_allclose(found[:10], of_one(0.25, 10), rtol=1e-6)
    np.testing.assert_allclose(found[10:], of_one(1.0, 10), rtol=1e-6)


def test_the_last_epoch_may_be_cut_short():
    found = rates(18, 5, unfreeze_from=2)
    np.testing.assert_allclose(found[5:], of_one(1.0, 13), rtol=1e-6)


def test_the_head_alone_before_lora():
    phases = phases_of({"lora_rank": 2}, unfreeze_from=2, gradual=True)
    assert opened(phases) == [(0, 1, []), (1, 2, ALL[:1]), (2, 3, ALL[:2]), (3, 4, ALL)]
    assert [phase.config.lora_rank for phase in phases] == [0, 2, 2, 2]
