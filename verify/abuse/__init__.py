"""Hostile programs, one a file, and the runner that looks for what they left. See README.md beside this."""
