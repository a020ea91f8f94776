"""Examples made of lists, as if they had been read from a file."""

from kerasbert.data.examples import Examples


def make_examples(texts=None, pairs=None, **columns):
    """Examples of `comments.csv`, the first in row 2, with texts all different if not given."""
    count = len(texts) if texts is not None else len(next(iter(columns.values())))
    return Examples(
        texts=list(texts) if texts is not None else [f"text {number}" for number in range(count)],
        pairs=pairs,
        labels={column: list(cells) for column, cells in columns.items()},
        rows=list(range(2, count + 2)),
        source="comments.csv",
    )
