"""The sub-commands of `agent`, one module each, imported only when they run."""
