"""Training data: prompts out of Python packages, the base's own answers to them, filters and a data card."""
