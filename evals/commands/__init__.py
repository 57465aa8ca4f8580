"""One module a sub-command; `evals.cli.COMMANDS` names them."""
