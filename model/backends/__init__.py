"""Models that generate outside our engine, behind the same interface."""
