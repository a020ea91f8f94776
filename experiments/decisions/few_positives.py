"""What a threshold for F1 is worth that was chosen on few positives.

    python experiments/decisions/few_positives.py OUT_OF_FOLD.csv

From the out-of-fold probabilities of a multilabel file so many rows are drawn that each label has a
given number of positives. The threshold is chosen on them, by this package and as the best cut of
the rows as they are, and F1 is measured on the other rows.
"""

import sys

import numpy as np
import pandas as pd

from kerasbert.data.labels import Labels
from kerasbert.deciding.rules import parse_rule
from kerasbert.deciding.thresholds import choose_thresholds

NUM_DRAWS = 60
LARGEST_SHARE = 0.6


def main(path: str) -> None:
    table = pd.read_csv(path)
    names = [name.removeprefix("probability_") for name in table if name.startswith("probability_")]
    means = ("at 0.5", "best cut of the rows", "as chosen")
    header = ("positives", "draws", *means, "cut, worst tenth", "chosen, worst tenth")
    print(f"| {' | '.join(header)} |")
    print("|" + "---|" * 7)
    for num_positives in (3, 6, 10, 20, 40, 80):
        random, found = np.random.default_rng(0), []
        for name in names:
            truth = table[name].to_numpy() == 1
            scores = table[f"probability_{name}"].to_numpy()
            num_rows = round(num_positives / truth.mean())
            if num_rows > LARGEST_SHARE * len(table):
                continue
            for _ in range(NUM_DRAWS):
                order = random.permutation(len(table))
                drawn, rest = order[:num_rows], order[num_rows:]
                if truth[drawn].sum() < 3:
                    continue
                cuts = (
                    0.5,
                    best_cut(truth[drawn], scores[drawn]),
                    chosen(truth[drawn], scores[drawn]),
                )
                found.append([f1(truth[rest], scores[rest] >= cut) for cut in cuts])
        values = np.array(found)
        worst = np.percentile(values - values[:, :1], 10, axis=0)
        means = " | ".join(f"{value:.3f}" for value in values.mean(axis=0))
        print(f"| {num_positives} | {len(values)} | {means} | {worst[1]:+.3f} | {worst[2]:+.3f} |")


def best_cut(truth: np.ndarray, scores: np.ndarray) -> float:
    order = np.argsort(-scores)
    values = 2 * truth[order].cumsum() / (truth.sum() + np.arange(1, len(truth) + 1))
    return scores[order[values.argmax()]]


def chosen(truth: np.ndarray, scores: np.ndarray) -> float:
    labels = Labels("multilabel", ("label",), ("label",), (0.5,))
    (threshold,), _ = choose_thresholds(
        labels, truth[:, None].astype(np.float32), scores[:, None], parse_rule("f1")
    )
    return threshold


def f1(truth: np.ndarray, decided: np.ndarray) -> float:
    return 2 * (truth & decided).sum() / max(1, truth.sum() + decided.sum())


if __name__ == "__main__":
    main(sys.argv[1])
