"""Benchmarks, scores, comparisons, reports."""
