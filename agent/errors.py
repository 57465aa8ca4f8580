"""Errors of the agent package. Each message is one line that says what is wrong and how to mend it."""

from __future__ import annotations


class AgentError(Exception):
    """Base of all below; `exit_code` is what the command line exits with."""

    exit_code = 1


class TaskError(AgentError):
    """The task file, or something it names, cannot be used."""

    exit_code = 2


class WorkspaceError(AgentError):
    """A path outside the workspace, or one that cannot be read or written."""

    exit_code = 2


class EditError(AgentError):
    """An answer of the model that is no usable edit; the message goes back to the model."""

    exit_code = 4


class SessionError(AgentError):
    """A session that does not exist or cannot be read."""

    exit_code = 2


class RecordError(AgentError):
    """A run cannot be recorded: the data folder is not writable or full."""

    exit_code = 5


class HeadsError(AgentError):
    """A version of the heads that does not exist or cannot be written."""

    exit_code = 2


class FinetuneError(AgentError):
    """A round that cannot go on: nothing to learn from, or parts that do not fit each other."""

    exit_code = 2


class FinetuneModelError(FinetuneError):
    """The model could not be loaded, or failed while it answered or was trained."""

    exit_code = 4


class FinetuneSandboxError(FinetuneError):
    """The sandbox cannot run or cannot judge; says nothing about the answers."""

    exit_code = 5
