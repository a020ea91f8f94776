"""Words to batches; knows nothing of models."""
