"""How much of what is computed is padding: `python padding.py FILE.csv [--pair-column NAME]`."""

import argparse

import numpy as np

from kerasbert.data.batches import shuffled_buckets, sorted_buckets
from kerasbert.data.examples import read_examples
from kerasbert.data.tokens import Tokenizer
from kerasbert.models.base import find_base


def padding(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Share of the pieces computed that are padding, 0 to 1."""
    return 1 - lengths.sum() / sum(len(batch) * lengths[batch].max() for batch in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--pair-column")
    parser.add_argument("--label-column", default="label")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_directory(find_base("minilm"), 256)
    print("| texts | training | running | blind batches of 16 |\n|---|---|---|---|")
    for path in options.files:
        examples = read_examples(
            path, pair_column=options.pair_column, label_columns=[options.label_column]
        )
        lengths = tokenizer(examples.texts, examples.pairs).lengths
        random = np.random.default_rng(0)
        kinds = (
            shuffled_buckets(lengths, 16, random),
            sorted_buckets(lengths),
            shuffled_buckets(np.ones_like(lengths), 16, random),
        )
        shares = (f"{padding(lengths, batches):.1%}" for batches in kinds)
        print(f"| {path} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
