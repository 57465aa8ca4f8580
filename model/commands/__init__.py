"""The sub-commands of `model`, one module each."""
