"""What is told of a run: numbers with intervals, a page, a model card."""
