"""The sub-commands of `verify`, one a module."""
