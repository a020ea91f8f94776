from io import StringIO

import pytest
from rich.console import Console

from kerasbert.training.console import Screen, say


def make_console(is_terminal=False, width=60):
    return Console(file=StringIO(), width=width, force_terminal=is_terminal)


def row(step, loss, accuracy=0.5):
    return {
        **{"step": step, "loss": loss, "accuracy": accuracy},
        **{"learning_rate": 2.5e-5 * step, "examples_per_second": 100.0 * step},
    }


def lines_of(console, losses, accuracies=None, *, every=None, num_steps=1000, first=1):
    """What is written of one epoch's steps."""
    accuracies = accuracies or [0.5] * len(losses)
    with Screen(console, num_examples=80, num_epochs=2, num_steps=num_steps, every=every) as screen:
        screen.begin_epoch(0, 0.0)
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), first):
            screen.step(row(number, loss, accuracy), 8.0)
    lines = console.file.getvalue().splitlines()
    return [line.rpartition("  ")[0] for line in lines if line.endswith("examples/s")]


def test_a_line_is_neither_broken_nor_read_as_markup():
    console = make_console(width=20)
    say(console, "[bold] a line that is longer than the terminal is wide")
    assert console.file.getvalue() == "[bold] a line that is longer than the terminal is wide\n"


def test_every_so_many_steps_a_line_with_the_mean_since_the_last():
    lines = lines_of(make_console(), [1, 2, 3, 4, 6, 8, 9], [0, 0, 1, 1, 1, 0.5, 0], every=3)
    assert lines == [
        "step 3/1,000  loss 2.0000  accuracy 0.3333  learning rate 7.50e-05",
        "step 6/1,000  loss 6.0000  accuracy 0.8333  learning rate 1.50e-04",
    ]


def test_the_speed_is_the_mean_since_the_epoch_began_or_went_on():
    console = make_console()
    with Screen(console, num_examples=80, num_epochs=1, num_steps=10, every=1) as screen:
        screen.begin_epoch(0, 24.0)
        for step in (1, 4):
            screen.step(row(step, 1.0), 8.0)
    # 8 in 0.08 s, and 16 in 0.1 s.
    speeds = [line.split("  ")[-1] for line in console.file.getvalue().splitlines()]
    assert speeds == ["100 examples/s", "160 examples/s"]


def test_going_on_the_lines_stand_at_the_same_steps():
    lines = lines_of(make_console(), [1, 5, 7, 9], every=3, first=5)
    # Steps 5 and 6, then 7 and 8, of which no line is due yet.
    assert lines == ["step 6/1,000  loss 3.0000  accuracy 0.5000  learning rate 1.50e-04"]


def test_the_steps_of_two_epochs_go_into_one_line():
    console = make_console()
    with Screen(console, num_examples=16, num_epochs=2, num_steps=4, every=3) as screen:
        for epoch in range(2):
            screen.begin_epoch(epoch, 0.0)
            for step in (1, 2):
                screen.step(row(2 * epoch + step, float(2 * epoch + step)), 8.0)
    assert console.file.getvalue().startswith("step 3/4  loss 2.0000  ")
    assert console.file.getvalue().count("\n") == 1


def test_regression_has_no_accuracy():
    (line,) = lines_of(make_console(), [1, 2], [None, None], every=2)
    assert line == "step 2/1,000  loss 1.5000  learning rate 5.00e-05"


def test_without_bars_every_50_steps():
    lines = lines_of(make_console(), list(range(1, 121)))
    assert [line.partition("  ")[0] for line in lines] == ["step 50/1,000", "step 100/1,000"]
    assert "loss 25.5000" in lines[0]
    assert "loss 75.5000" in lines[1]


def test_on_a_terminal_bars_and_no_lines():
    console = make_console(is_terminal=True, width=120)
    assert lines_of(console, [1.0] * 120) == []
    assert "epoch 1/2" in console.file.getvalue()


def test_on_a_terminal_lines_where_they_are_asked_for():
    lines = lines_of(make_console(is_terminal=True, width=120), [1, 2, 3, 4], every=2)
    assert sum("step 2/1,000  loss 1.5000" in line for line in lines) == 1
    assert sum("step 4/1,000  loss 3.5000" in line for line in lines) == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_line_of_an_epoch(is_terminal):
    console = make_console(is_terminal, width=120)
    with Screen(console, num_examples=8, num_epochs=3, num_steps=6) as screen:
        screen.begin_epoch(1, 4.0)
        screen.step(row(4, 0.5), 4.0)
        screen.validating()
        screen.end_epoch(
            {
                "loss": 0.25,
                "accuracy": None,
                "examples_per_second": 1234.5,
                "val_loss": 0.75,
                "val_roc_auc": None,
                "val_pearson": 1.0,
            }
        )
    assert console.file.getvalue().endswith(
        "epoch 2/3  loss 0.2500  val_loss 0.7500  val_pearson 1.0000  1,234 examples/s\n"
    )
    assert ("validating" in console.file.getvalue()) == is_terminal


def test_the_terminal_is_whole_again_after_an_error():
    console = make_console(is_terminal=True)
    screen = Screen(console, num_examples=8, num_epochs=1, num_steps=2)
    with pytest.raises(ValueError, match="wrong"), screen:
        screen.begin_epoch(0, 0.0)
        raise ValueError("wrong")
    written = console.file.getvalue()
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0
