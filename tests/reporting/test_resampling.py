import numpy as np
import pytest
import scipy.stats

from kerasbert.metrics import build_report
from kerasbert.reporting.intervals import find_intervals
from kerasbert.reporting.resampling import _Areas, _Scores, interval, resampled
from tests.reporting.making import binary, multiclass, multilabel, random_rows, scores

TASKS = ["binary", "multiclass", "multilabel", "regression"]


def rows_of(task, count=60):
    return random_rows(task, count, num_labels=2 if task == "binary" else 3)


@pytest.mark.parametrize("task", TASKS)
def test_the_first_numbers_are_those_of_the_report(task):
    judged = rows_of(task)
    (numbers,) = resampled(judged)
    for name, values in numbers.items():
        if values.ndim == 1:
            assert values[0] == pytest.approx(judged.report[name], abs=1e-6), name
        elif name in ("precision", "recall", "f1", "support"):
            expected = [label[name] for label in judged.report["labels"]]
            np.testing.assert_allclose(values[0], expected, atol=1e-6)


def test_the_first_numbers_leave_out_unknown_cells():
    judged = multilabel(
        [[1, 0], [0, None], [None, 1], [1, 1], [1, 0]],
        [[0.8, 0.45], [0.4, 0.9], [0.6, 0.4], [0.45, 0.7], [0.9, 0.1]],
        ("rude", "kind"),
    )
    (numbers,) = resampled(judged)
    for name in ("accuracy", "macro_f1", "roc_auc"):
        assert numbers[name][0] == pytest.approx(judged.report[name], abs=1e-6)


def test_do_not_know_is_counted():
    judged = multiclass(
        [0, 1, 2], [[0.9, 0.1, 0], [0.4, 0.3, 0.3], [0, 0.3, 0.7]], ("a", "b", "c"),
        unsure_below=0.5,
    )  # fmt: skip
    (numbers,) = resampled(judged)
    assert numbers["unsure"][0] == pytest.approx(1 / 3)
    assert numbers["decided_accuracy"][0] == 1


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_weighted_areas_are_those_of_repeated_rows(task):
    judged = rows_of(task, 40)
    counts = np.random.default_rng(1).integers(4, size=40)
    # Rounded, so that there are ties.
    raw = np.round(judged.raw, 1)
    judged = type(judged)(judged.labels, judged.examples, raw)
    repeated = np.repeat(np.arange(40), counts)
    expected = build_report(judged.labels, judged.targets[repeated], raw[repeated])["roc_auc"]
    found = _Areas(judged)(counts[:, None].astype(np.float32))["roc_auc"]
    assert found[0] == pytest.approx(expected, abs=1e-6)


def test_weighted_correlations_are_those_of_repeated_rows():
    judged = rows_of("regression", 40)
    judged = type(judged)(judged.labels, judged.examples, np.round(judged.raw, 0))
    counts = np.random.default_rng(1).integers(4, size=40)
    repeated = np.repeat(np.arange(40), counts)
    report = build_report(judged.labels, judged.targets[repeated], judged.raw[repeated])
    found = _Scores(judged)(counts[:, None].astype(np.float32))
    for name in ("mse", "pearson", "spearman"):
        assert found[name][0] == pytest.approx(report[name], abs=1e-6)


def test_the_interval_of_a_share_is_the_binomial_one():
    # 70 of 100 right: what a resample has right is binomial, by which its quantiles are known.
    truth = np.arange(100) % 2
    second = np.where(np.arange(100) < 70, truth, 1 - truth)
    (numbers,) = resampled(binary(truth, second))
    expected = scipy.stats.binom.ppf([0.025, 0.975], 100, 0.7) / 100
    np.testing.assert_allclose(interval(numbers["accuracy"]), expected, atol=0.015)
    assert np.std(numbers["accuracy"][1:]) == pytest.approx(np.sqrt(0.7 * 0.3 / 100), rel=0.1)


def test_percentiles_by_hand():
    assert interval(np.array([0.5, *np.linspace(0, 1, 41)])) == pytest.approx([0.025, 0.975])
    assert interval(np.array([np.nan, 0.1, 0.2])) is None
    assert interval(np.array([0.5, np.nan, np.nan, 0.2])) is None


def test_the_draws_are_the_same_each_time():
    judged = rows_of("multilabel")
    assert find_intervals(judged) == find_intervals(judged)
    assert find_intervals(judged) != find_intervals(judged, seed=1)


def test_two_models_are_resampled_together():
    judged = rows_of("binary")
    first, second = resampled(judged, judged)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_of_many_rows_fewer_are_drawn(monkeypatch):
    monkeypatch.setattr("kerasbert.reporting.resampling._MOST_WEIGHTS", 60 * 300)
    assert find_intervals(rows_of("binary"))["resamples"] == 300


def test_small_chunks_draw_as_many(monkeypatch):
    monkeypatch.setattr("kerasbert.reporting.resampling._WEIGHTS_AT_ONCE", 60 * 7)
    assert find_intervals(rows_of("regression"))["resamples"] == 1000


@pytest.mark.parametrize(
    "judged",
    [
        binary([1], [0.7]),
        binary([1, 1, 1], [0.7, 0.2, 0.9]),
        multiclass([0], [[0.2, 0.5, 0.3]], ("a", "b", "c")),
        multilabel([[1, None], [0, None]], [[0.3, 0.2], [0.1, 0.3]], ("x", "y")),
        multilabel([[None], [None]], [[0.3], [0.1]], ("x",)),
        scores([1], [2]),
        scores([1, 1, 1], [2, 2, 2]),
    ],
)
def test_what_is_not_defined_has_no_interval(judged):
    found = find_intervals(judged)
    for name, value in judged.report.items():
        if value is None and name in found:
            assert found[name] is None
