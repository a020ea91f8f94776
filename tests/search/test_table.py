from io import StringIO

import pytest
from rich.console import Console

from kerasbert.search.showing import best_trial, shorten, show_score, show_value
from kerasbert.search.table import sweep_table, trial_line
from kerasbert.search.trials import Trial


def trial(number, score=0.5, status="completed", **kept):
    values = {"learning_rate": 0.00123456, "dropout": 0.1}
    return Trial(number, status, **{"values": values, "score": score, "seconds": 8.125} | kept)


def failed(number, error="The loss became nan."):
    return trial(number, None, "failed", error=error)


def running(number):
    return trial(number, None, "running", seconds=None)


def columns(table):
    """The cells of each column as they are, by its head in one line."""
    return {
        column.header.plain.replace("\n", ""): [cell.plain for cell in column.cells]
        for column in table.columns
    }


def printed(table, width):
    console = Console(file=StringIO(), width=width, force_terminal=False)
    console.print(table)
    return console.file.getvalue()


def test_a_row_per_trial_with_the_best_marked():
    table = sweep_table([trial(1, 0.73125), trial(0, 0.25), failed(2)], "val_macro_f1", True)
    assert columns(table) == {
        "trial": ["0", "1", "2"],
        "status": ["completed", "★ best", "failed"],
        "val_macro_f1": ["0.2500", "0.7312", ""],
        "learning_rate": ["1.23e-03"] * 3,
        "dropout": ["0.1"] * 3,
        "seconds": ["8.1"] * 3,
        "error": ["", "", "The loss became nan."],
    }
    assert [row.style for row in table.rows] == ["", "bold green", "dim"]
    assert table.caption.plain == "3 trials, 1 failed, best 0.7312"


def test_of_a_loss_the_lowest_is_best_and_of_equal_ones_the_first():
    trials = [trial(0, 0.5), trial(1, 0.25), trial(2, 0.25), trial(3, float("nan"))]
    assert columns(sweep_table(trials, "val_loss", False))["status"][1] == "★ best"
    assert best_trial(trials, True).number == 0
    assert best_trial([failed(0), running(1)], True) is None


def test_running_trials_show_how_long_they_run():
    trials = [trial(0), running(1), running(2)]
    table = sweep_table(trials, "val_loss", False, planned=50, now_seconds={1: 1234.5})
    assert columns(table)["seconds"] == ["8.1", "1,234", ""]
    assert table.caption.plain == "1 of 50 trials, 2 running, best 0.5000"


@pytest.mark.parametrize(
    ("limit", "shown"), [(1, [3]), (2, [3, 9]), (5, [3, 4, 5, 8, 9]), (10, list(range(10)))]
)
def test_of_many_trials_the_best_and_the_latest_are_shown(limit, shown):
    trials = [trial(number, -abs(number - 3.6)) for number in range(9)] + [failed(9)]
    trials[3] = trial(3, 1.0)
    table = sweep_table(trials, "val_macro_f1", True, limit=limit)
    assert columns(table)["trial"] == list(map(str, shown))
    left_out = f", {10 - len(shown)} not shown" if len(shown) < 10 else ""
    assert table.caption.plain == f"10 trials, 1 failed, best 1.0000{left_out}"


def test_hyperparameters_that_only_some_trials_have():
    trials = [trial(0, values={"pooling": "mean"}), trial(1, values={"rank": 8, "frozen": True})]
    shown = columns(sweep_table(trials, "val_loss", False))
    assert (shown["pooling"], shown["rank"]) == (["mean", ""], ["", "8"])
    assert shown["frozen"] == ["", "True"]


def test_workers_are_shown_where_there_are_any():
    assert "worker" not in columns(sweep_table([trial(0)], "val_loss", False))
    table = sweep_table([trial(0), trial(1, worker="worker1")], "val_loss", False)
    assert columns(table)["worker"] == ["", "worker1"]


def test_names_texts_and_errors_are_no_markup_and_stay_in_one_line():
    odd = "[red]a\nb[/nothing]"
    trials = [
        trial(0, values={odd: odd}, worker=odd),
        trial(1, None, "failed", values={}, error=f"{odd} " + "long " * 40),
    ]
    text = printed(sweep_table(trials, odd, True), 200)
    assert text.count("[red]a b[/nothing]") == 5
    assert len(text.splitlines()) == 7  # blank, head, rule, two rows, blank, caption
    assert columns(sweep_table(trials, odd, True))["error"][1].startswith("[red]a b[/nothing] long")
    assert "..." in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_numbers_are_whole_or_not_there(width):
    path = {"base": "/srv/models/checkpoints/bert-base-uncased", "learning_rate": 1.234e-5}
    trials = [trial(0, values=path), trial(1, None, "failed", values=path, error="word " * 30)]
    lines = printed(sweep_table(trials, "val_macro_f1", True), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("1.23e-05" in line for line in lines) == 2
    assert not any("1.23e…" in line for line in lines)


def test_no_trial_at_all():
    table = sweep_table([], "val_loss", False, planned=1)
    assert table.row_count == 0
    assert table.caption.plain == "0 of 1 trial"


def test_a_line_of_each_kind_of_trial():
    best = trial(7, 0.73125)
    shared = "learning_rate 1.23e-03  dropout 0.1"
    assert (
        trial_line(best, "val_macro_f1", best)
        == f"trial 7: val_macro_f1 0.7312  {shared}  8.1 s  (best)"
    )
    assert (
        trial_line(trial(8, worker="worker1"), "val_macro_f1", best)
        == f"trial 8: val_macro_f1 0.5000  {shared}  8.1 s  worker1"
    )
    assert trial_line(running(9), "val_loss", None) == f"trial 9: running  {shared}"
    line = trial_line(failed(10, "The loss\nbecame nan."), "val_loss", best)
    assert line == f"trial 10: failed: The loss became nan.  {shared}  8.1 s"
    assert "..." in trial_line(failed(10, "long " * 100), "val_loss", best)


def test_how_numbers_and_texts_read():
    values = (1e-5, 0.01, 0.123456, 3.0, 0.0, 64, True, [384, 384], "a  b\nc", -0.001)
    assert [show_value(value) for value in values] == [
        *("1.00e-05", "0.01", "0.1235", "3", "0", "64", "True", "384,384", "a b c", "-1.00e-03")
    ]
    assert [show_score(score) for score in (0.73125, 12.0, 0.0000123, 0.0, None)] == [
        *("0.7312", "12.0000", "1.23e-05", "0.0000", "-")
    ]
    assert shorten("short", 5) == "short"
    assert shorten("/home/anna/models/minilm-l6", 16) == "/home…/minilm-l6"
