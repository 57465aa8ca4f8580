"""Ablations: one plan of named arms, each trained for the same budget and measured alike, in one table."""
