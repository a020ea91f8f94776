"""What each word of a text contributes to an answer."""

import dataclasses
from typing import Any

METHODS = ("integrated-gradients", "leave-out")
# Points that integrated gradients begin with: enough for five in six comments.
STEPS = 50
# As many as one may ask for.
MAX_STEPS = 1000


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of a text, and what it contributes.

    Attributes:
        text: the word as it is written.
        start: its first character, counted from 0 in its text.
        end: the character after its last.
        part: 0 for a word of the first text, 1 for one of the second.
        contribution: by how much it moves the probability, or the score, up or down.
        is_read: whether the model reads any of it; words after the cut at the maximum length, and
            what the tokenizer drops, are not read and contribute 0.
    """

    text: str
    start: int
    end: int
    part: int
    contribution: float
    is_read: bool


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What the words of one text, or pair, contribute to the probability of one label.

    Attributes:
        text: the text.
        pair: the second text; None for single texts.
        label: the label whose probability is explained; of a regression, the score's column.
        method: an entry of `METHODS`. `"integrated-gradients"`: the contributions add up to
            `change`, but for `completeness_error`. `"leave-out"`: each is the probability less that
            of the text without the word; nothing makes them add up to `change`, and
            `completeness_error` says how far they are from it.
        probability: of the text, 0 to 1; of a regression, the score.
        baseline_probability: of what the text is compared with. `"integrated-gradients"`: padding
            in the place of each piece of a word. `"leave-out"`: no words at all.
        words: of the first text and then of the second, in their order.
        steps: points on the path of integrated gradients; None for the other method.
        tolerance: how large a `completeness_error` was to be at most, in probability or score; None
            for the other method, which promises nothing.
    """

    text: str
    pair: str | None
    label: str
    method: str
    probability: float
    baseline_probability: float
    words: tuple[Word, ...]
    steps: int | None = None
    tolerance: float | None = None

    @property
    def change(self) -> float:
        """What the words do together: the probability less that of the baseline."""
        return self.probability - self.baseline_probability

    @property
    def sum_of_contributions(self) -> float:
        """What the words do one by one, added up."""
        return sum(word.contribution for word in self.words)

    @property
    def completeness_error(self) -> float:
        """How far the contributions, added up, are from `change`."""
        return self.sum_of_contributions - self.change

    @property
    def is_tolerance_reached(self) -> bool | None:
        """Whether the contributions add up as well as they were to; None if they need not."""
        return None if self.tolerance is None else abs(self.completeness_error) <= self.tolerance

    def strongest(self, most: int) -> list[Word]:
        """At most so many of the words that were read, those that move the most first."""
        read = [word for word in self.words if word.is_read]
        return sorted(read, key=lambda word: -abs(word.contribution))[:most]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values: the fields, and what follows from them."""
        return dataclasses.asdict(self) | {
            "words": [dataclasses.asdict(word) for word in self.words],
            "change": self.change,
            "sum_of_contributions": self.sum_of_contributions,
            "completeness_error": self.completeness_error,
            "is_tolerance_reached": self.is_tolerance_reached,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Explanation":
        """The explanation that `to_dict` gave."""
        names = [field.name for field in dataclasses.fields(cls)]
        fields = {name: values[name] for name in names if name in values}
        return cls(**fields | {"words": tuple(Word(**word) for word in values["words"])})
