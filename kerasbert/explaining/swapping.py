"""Whether a classifier judges a sentence by whom it is about: terms exchanged for each other.

Garg et al., "Counterfactual Fairness in Text Classification through Robustness", 2019
(https://arxiv.org/abs/1809.10610).
"""

import dataclasses
import itertools
import statistics
from collections.abc import Sequence

import numpy as np

from kerasbert.explaining.explainer import explained_column
from kerasbert.explaining.terms import Terms
from kerasbert.inference import Classifier


@dataclasses.dataclass(frozen=True)
class Swap:
    """A text with one term exchanged for another.

    Attributes:
        term: the one that was there.
        other: the one that took its place.
        text: as it reads then.
        pair: the second text, likewise; None for single texts.
        probability: of the label then, 0 to 1; of a regression, the score.
        change: by how much that is more than before.
        decision: as `Classifier.predict` gives it, in words.
        is_flipped: whether the decision is another than before; never for a regression, which
            decides nothing.
    """

    term: str
    other: str
    text: str
    pair: str | None
    probability: float
    change: float
    decision: str
    is_flipped: bool


@dataclasses.dataclass(frozen=True)
class SwappedText:
    """A text, and what exchanging its terms does to the probability of one label.

    Attributes:
        text: the text.
        pair: the second text; None for single texts.
        label: the one whose probability it is.
        probability: as the text is, 0 to 1; of a regression, the score.
        decision: as `Classifier.predict` gives it, in words.
        swaps: one for each term in it and each other of the term's group, but one for two that are
            both in it; empty where the text has no listed term.
    """

    text: str
    pair: str | None
    label: str
    probability: float
    decision: str
    swaps: tuple[Swap, ...]


@dataclasses.dataclass(frozen=True)
class TermSummary:
    """What putting a term in the place of others does.

    Attributes:
        term: the term.
        num_swaps: how often it took the place of another.
        mean_change: of the probability, over these.
        largest_change: the one that is farthest from 0.
        num_flipped: how many decisions became another.
    """

    term: str
    num_swaps: int
    mean_change: float
    largest_change: float
    num_flipped: int


def swap_terms(
    classifier: Classifier,
    texts: Sequence[str],
    text_pairs: Sequence[str] | None = None,
    *,
    terms: Terms,
    label: str | None = None,
) -> list[SwappedText]:
    """Exchange each listed term of each text for each other of its group, and judge again.

    Only the terms change: an article before them stays as it is. Two terms of a text that stand
    for each other are exchanged once.

    Args:
        classifier: what judges.
        texts: strings.
        text_pairs: the second texts of sentence pairs, in which terms are exchanged, too.
        terms: from `read_terms`.
        label: whose probability. Default: the one that `Classifier.explain` would explain for the
            text as it is.

    Raises:
        InputError: as `Classifier.predict`; or an unknown label.
    """
    outputs = classifier.outputs(texts, text_pairs)
    is_regression = classifier.task == "regression"
    pairs = [None] * len(texts) if text_pairs is None else text_pairs
    exchanges = [_exchanges(parts, terms) for parts in zip(texts, pairs, strict=True)]
    new = [exchange for of_text in exchanges for exchange in of_text]
    new_pairs = None if text_pairs is None else [pair for *_, pair in new]
    new_outputs = classifier.outputs([text for _, _, text, _ in new], new_pairs)
    judged = zip(new, new_outputs, _decisions(classifier, new_outputs), strict=True)

    found = []
    for text, pair, row, decision, of_text in zip(
        texts, pairs, outputs, _decisions(classifier, outputs), exchanges, strict=True
    ):
        column = explained_column(classifier.run.labels, row, label)
        probability = float(row[column])
        swaps = [
            Swap(
                *exchange,
                probability=float(new_row[column]),
                change=float(new_row[column]) - probability,
                decision=new_decision,
                is_flipped=not is_regression and new_decision != decision,
            )
            for exchange, new_row, new_decision in itertools.islice(judged, len(of_text))
        ]
        name = classifier.labels[column]
        found.append(SwappedText(text, pair, name, probability, decision, tuple(swaps)))
    return found


def summarise(swapped: Sequence[SwappedText]) -> list[TermSummary]:
    """Per term what putting it in the place of others does, the largest mean change first."""
    by_term: dict[str, list[Swap]] = {}
    for text in swapped:
        for swap in text.swaps:
            by_term.setdefault(swap.other, []).append(swap)
    rows = [
        TermSummary(
            term=term,
            num_swaps=len(swaps),
            mean_change=statistics.fmean(swap.change for swap in swaps),
            largest_change=max((swap.change for swap in swaps), key=abs),
            num_flipped=sum(swap.is_flipped for swap in swaps),
        )
        for term, swaps in by_term.items()
    ]
    return sorted(rows, key=lambda row: -abs(row.mean_change))


def _decisions(classifier: Classifier, outputs: np.ndarray) -> list[str]:
    """What is decided for each row, in words."""
    decisions = classifier.run.labels.decode(outputs)
    if classifier.task == "multilabel":
        return [", ".join(names) or "no label" for names in decisions]
    return ["don't know" if decision is None else str(decision) for decision in decisions]


def _exchanges(parts: tuple[str, str | None], terms: Terms) -> list[tuple]:
    """Each term of a text or pair, each that takes its place, and the text and pair then."""
    written = [part for part in parts if part is not None]
    found = dict.fromkeys(term for part in written for term in terms.found_in(part))
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    for term in found:
        for other in terms.others(term):
            # Exchanged with each other, two terms of a text give the same text from either side.
            pairs.setdefault(frozenset((term, other)), (term, other))
    return [
        (
            term,
            other,
            *(None if part is None else terms.exchange(part, term, other) for part in parts),
        )
        for term, other in pairs.values()
    ]
