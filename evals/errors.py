"""Errors of the evals package. Each message says what is wrong and how to mend it; the CLI prints it as one
line.
"""

from __future__ import annotations


class EvalsError(Exception):
    """Base of all below. `exit_code` is what the CLI exits with."""

    exit_code = 2


class UsageError(EvalsError):
    """A flag, a name or a combination of them that cannot work."""


class DataError(EvalsError):
    """A dataset or a samples file that is missing, damaged or of another version."""


class RunFolderError(EvalsError):
    """A run folder that cannot be used as asked; nothing in it was changed."""


class ModelFailureError(EvalsError):
    """The model could not be loaded or failed while generating."""

    exit_code = 4


class InfrastructureError(EvalsError):
    """No sandbox, or it failed on our side; says nothing about the samples."""

    exit_code = 5
