"""Training the heads: configuration, packed batches, objectives, the loop, checkpoints, evaluation."""
