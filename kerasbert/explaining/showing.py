"""What the screen and the page share: how numbers, words and sums read."""

import re
from collections.abc import Sequence

from kerasbert.explaining.explanation import Explanation, Word

METHOD_NAMES = {
    "integrated-gradients": "integrated gradients",
    "leave-out": "leaving words out",
}
# Words that move less than this share of what the strongest does have no colour.
_FAINT = 0.05
# Control characters other than line breaks and tabs, and those that set the direction of writing.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def signed(number: float) -> str:
    """A number with its sign, to four places; one too small for them as +1.2e-05.

    Example:
        >>> signed(0.12345), signed(-0.000012345), signed(0)
        ('+0.1235', '-1.2e-05', '0.0000')
    """
    if number == 0:
        return "0.0000"
    return f"{number:+.1e}" if abs(number) < 1e-3 else f"{number:+.4f}"


def strength(word: Word, words: Sequence[Word]) -> float:
    """What a word does, as a share of what the strongest of them does: -1 to 1, 0 if it is faint.

    Example:
        >>> words = [Word("you", 0, 3, 0, -0.1, True), Word("fool", 4, 8, 0, 0.4, True)]
        >>> strength(words[0], words)
        -0.25
    """
    most = max((abs(other.contribution) for other in words), default=0.0)
    share = word.contribution / most if most else 0.0
    return share if abs(share) >= _FAINT else 0.0


def pieces_of(explanation: Explanation, part: int) -> list[str | Word]:
    """The words of the first text (0), or of the second (1), with what stands between them."""
    text, place = (explanation.text, explanation.pair)[part], 0
    pieces: list[str | Word] = []
    for word in explanation.words:
        if word.part == part:
            pieces += [text[place : word.start], word]
            place = word.end
    return [piece for piece in [*pieces, text[place:]] if piece]


def printable(text: str) -> str:
    r"""The text without what would command a terminal, or turn the direction of what follows it.

    Example:
        >>> printable("\x1b[31mred")
        '\\x1b[31mred'
    """
    text = text.replace("\r\n", "\n")
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def headline(label: str, probability: float, row: int | None = None) -> str:
    """Such as `row 7: rude 0.9731`; without the row for a text that is of no file."""
    where = "" if row is None else f"row {row:,}: "
    return f"{where}{printable(label)} {probability:.4f}"


def sum_line(explanation: Explanation) -> str:
    """What the contributions add up to, what they should, and how far that is off."""
    is_gradient = explanation.method == "integrated-gradients"
    line = (
        f"The contributions add up to {explanation.sum_of_contributions:+.4f}. "
        f"{'With padding for every word' if is_gradient else 'Without any word'} it would be "
        f"{explanation.baseline_probability:.4f}, which makes {explanation.change:+.4f}: "
        f"completeness error {signed(explanation.completeness_error)}."
    )
    return line if is_gradient else f"{line} Words left out one by one need not add up."


def tolerance_line(explanation: Explanation) -> str:
    """That the contributions do not add up as they should; nothing where they do, or need not."""
    if explanation.is_tolerance_reached in (None, True):
        return ""
    return (
        f"Tolerance not reached: the completeness error is above {explanation.tolerance:.4g}, even "
        f"with {explanation.steps:,} points. Take these contributions as rough; more steps, or the "
        "method leave-out, may tell more."
    )


def unread_line(explanation: Explanation) -> str:
    """How many words the model did not read; nothing where it read all."""
    unread = sum(not word.is_read for word in explanation.words)
    if not unread:
        return ""
    words = "word was" if unread == 1 else "words were"
    return (
        f"{unread:,} {words} not read: cut off at the maximum length, or dropped by the tokenizer."
    )
