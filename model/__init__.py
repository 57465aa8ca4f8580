"""Tokens: bases, heads, decoding, training."""
