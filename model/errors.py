"""Errors of the model package. Each message says what is wrong and how to mend it; the CLI prints it as one
line.
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of all below; the CLI exits with `exit_code`."""

    exit_code = 4


class NotPulledError(ModelError):
    """The weights are not on this machine."""


class PullError(ModelError):
    """Weights could not be fetched or did not match their sha256; what was there before is untouched."""


class WeightsError(ModelError):
    """A checkpoint, tokenizer or head file is missing, damaged or belongs to another base."""


class RequestError(ModelError):
    """A request this model cannot serve."""


class ContextOverflowError(RequestError):
    """Prompt plus max_tokens exceed the context; raised before the first forward."""


class MemoryFullError(ModelError):
    """The device has no memory left; says what to lower. The model can be asked again."""


class NumericsError(ModelError):
    """NaN or infinite logits."""
