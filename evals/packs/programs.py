"""All programs that the repair and edit benchmarks are made from."""

from __future__ import annotations

from evals.packs import list_programs, text_programs
from evals.packs.program import Program

# In the order of repair.jsonl, whose rows are known by their number.
_ORDER = (
    "within",
    "moving_average",
    "run_lengths",
    "find_sorted",
    "second_largest",
    "merge_intervals",
    "word_counts",
    "transpose",
    "balanced",
    "in_base",
    "chunks",
    "longest_word",
    "rotate",
    "discounted",
    "best_run",
    "title_case",
    "pair_with_sum",
    "run_stack",
    "day_of_year",
    "split_fields",
    "unique",
    "shortest_way",
)
_BY_ENTRY = {program.entry: program for program in (*list_programs.PROGRAMS, *text_programs.PROGRAMS)}
PROGRAMS: tuple[Program, ...] = tuple(_BY_ENTRY[entry] for entry in _ORDER)
