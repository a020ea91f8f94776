"""From probabilities to answers: what is chosen on held-out examples, and how good it is."""
