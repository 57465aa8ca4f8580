"""Edits to small files, as a colleague would ask for them: the file is one of `programs`, the instruction is
new.

`after` is a file that follows the instruction; its results on the inputs say what is right. `more` are
arguments that show the difference; the drawn inputs of the program show that the rest still works.
"""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Edit:
    name: str
    entry: str
    instruction: str
    after: str
    more: tuple[tuple[Any, ...], ...]


def _edit(
    name: str, entry: str, instruction: str, changes: tuple[tuple[str, str], ...], *more: tuple[Any, ...]
) -> Edit:
    """`changes` are replacements in the program's text, applied in order; each must occur exactly once."""
    from evals.packs.programs import PROGRAMS

    text = next(program.source for program in PROGRAMS if program.entry == entry)
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{name}: {old!r} occurs {text.count(old)} times")
        text = text.replace(old, new)
    return Edit(name, entry, instruction, text, more)


EDITS: tuple[Edit, ...] = (
    _edit("within-exclusive", "within", "Leave out values that are equal to high.", (("<= high", "< high"),), ([1, 2, 3], 1, 3)),
    _edit("within-count", "within", "Return how many values there are instead of the values.", (("return kept", "return len(kept)"),), ([1, 5], 0, 9)),
    _edit("within-absolute", "within", "Compare the absolute value of each number with the limits; keep the number itself.", (("<= value <=", "<= abs(value) <="),), ([-2, 2, -9], 1, 3)),
    _edit("average-round", "moving_average", "Round each average to one decimal.", (("sum(window) / size", "round(sum(window) / size, 1)"),), ([1, 2, 2], 3)),
    _edit("average-partial", "moving_average", "Also give an average for the shorter windows at the end, so that there are as many averages as values.", (("range(len(values) - size + 1)", "range(len(values))"), ("sum(window) / size", "sum(window) / len(window)")), ([1, 2, 3], 2)),
    _edit("runs-plain-single", "run_lengths", "Write runs of length one as the character alone, without the number.", (("parts.append(text[index] + str(end - index))", "length = end - index\n        parts.append(text[index] + (str(length) if length > 1 else \"\"))"),), ("abbc",)),
    _edit("runs-number-first", "run_lengths", "Put the number before the character.", (("text[index] + str(end - index)", "str(end - index) + text[index]"),), ("aab",)),
    _edit("find-insert-point", "find_sorted", "When target is not there, return the position where it would have to be inserted instead of -1.", (("return -1", "return low"),), ([1, 3], 2), ([], 5), ([1, 3], 9)),
    _edit("find-none", "find_sorted", "Return None instead of -1 when target is not there.", (("return -1", "return None"),), ([1, 3], 2)),
    _edit("second-smallest", "second_largest", "Return the second smallest of the different numbers instead.", (("value > best", "value < best"), ("value > second", "value < second")), ([3, 1, 2],)),
    _edit("second-default", "second_largest", "Return 0 instead of None when there is no second number.", (("return second", "return 0 if second is None else second"),), ([1],), ([],)),
    _edit("merge-no-touch", "merge_intervals", "Intervals that only touch in one point must stay apart.", (("start <= merged", "start < merged"),), ([[1, 2], [2, 3]],)),
    _edit("merge-tuples", "merge_intervals", "Return the intervals as tuples instead of lists.", (("return merged", "return [tuple(pair) for pair in merged]"),), ([[1, 2]],)),
    _edit("words-case", "word_counts", "Count words that differ in case as different words.", (("text.lower().split()", "text.split()"),), ("a A",)),
    _edit("words-minimum", "word_counts", "Leave out words that occur only once.", (("return counts", "return {word: count for word, count in counts.items() if count > 1}"),), ("a b a",)),
    _edit("transpose-empty", "transpose", "Return an empty list for an empty matrix instead of failing.", (("    result = []\n", "    if not matrix:\n        return []\n    result = []\n"),), ([],)),
    _edit("balanced-curly", "balanced", "Curly brackets must be checked too.", (('"]": "["}', '"]": "[", "}": "{"}'), ('"(["', '"([{"')), ("{",), ("{}",), ("{]",)),
    _edit("balanced-bool", "balanced", "Return True and False instead of 1 and 0.", (("                return 0", "                return False"), ("return 0 if stack else 1", "return not stack")), ("()",)),
    _edit("base-prefix", "in_base", "Put 'b' and the base in front of the digits, as in b2:101.", (('return "0"', 'return f"b{base}:0"'), ("return digits", 'return f"b{base}:{digits}"')), (5, 2)),
    _edit("base-negative", "in_base", "Allow negative n: the digits of -n with a minus sign in front.", (('    if n == 0:', '    if n < 0:\n        return "-" + in_base(-n, base)\n    if n == 0:'),), (-5, 2), (-10, 10)),
    _edit("chunks-drop", "chunks", "Drop the last chunk when it is shorter than size.", (("return result", "return [chunk for chunk in result if len(chunk) == size]"),), ([1, 2, 3], 2)),
    _edit("chunks-sums", "chunks", "Return the sum of each chunk instead of the chunk.", (("values[start:start + size]", "sum(values[start:start + size])"),), ([1, 2, 3], 2)),
    _edit("longest-last", "longest_word", "When several words are equally long, return the last of them.", (("len(word) > len(best)", "len(word) >= len(best)"),), ("aa bb",)),
    _edit("rotate-left", "rotate", "Rotate to the left instead: the first steps values move to the end.", (("return values[len(values) - steps:] + values[:len(values) - steps]", "return values[steps:] + values[:steps]"),), ([1, 2, 3], 1)),
    _edit("discount-step", "discounted", "From 1000 on the discount must be 30 percent.", (("    if price >= 500:", "    if price >= 1000:\n        rate = 30\n    elif price >= 500:"),), (1000,), (999,)),
    _edit("best-run-length", "best_run", "Return the sum and the number of values in that run as a pair; prefer the first run among equals and (0, 0) for none.", (("    best = 0\n    current = 0\n", "    best = (0, 0)\n    current, length = 0, 0\n"), ("        current = max(0, current + value)\n        best = max(best, current)\n", "        current, length = current + value, length + 1\n        if current <= 0:\n            current, length = 0, 0\n        if current > best[0]:\n            best = (current, length)\n")), ([2, -1, 3],)),
    _edit("title-keep", "title_case", "Leave the letters after the first of each word as they are.", (("word[1:].lower()", "word[1:]"),), ("mcDonald",)),
    _edit("pair-values", "pair_with_sum", "Return the two values instead of their indices.", (("return [i, j]", "return [values[i], values[j]]"),), ([1, 2, 3], 5)),
    _edit("pair-all", "pair_with_sum", "Return the list of all such pairs in order, and an empty list when there is none.", (("    for i in range(len(values)):", "    pairs = []\n    for i in range(len(values)):"), ("return [i, j]", "pairs.append([i, j])"), ("return None", "return pairs")), ([1, 1, 1], 2), ([], 1)),
    _edit("stack-swap", "run_stack", "Add the command 'swap' that exchanges the two topmost values; with fewer than two it does nothing.", (("    return stack", "        elif name == \"swap\" and len(stack) > 1:\n            stack[-1], stack[-2] = stack[-2], stack[-1]\n    return stack"),), (["push 1", "push 2", "swap"],), (["swap"],)),
    _edit("day-leap", "day_of_year", "Add a third argument leap, False by default; when it is true February has 29 days.", (("def day_of_year(month, day):", "def day_of_year(month, day, leap=False):"), ("    total = day\n", "    if leap:\n        lengths[1] = 29\n    total = day\n")), (3, 1, True), (2, 29, True)),
    _edit("fields-strip", "split_fields", "Remove white space around each field.", (("return fields", "return [field.strip() for field in fields]"),), (" a , b",)),
    _edit("unique-last", "unique", "Keep the last of equal values instead of the first; the order is that of the kept ones.", (("in values:", "in reversed(values):"), ("return result", "return result[::-1]")), ([1, 2, 1],)),
    _edit("way-diagonal", "shortest_way", "Diagonal steps must be allowed too.", (("(0, -1), (-1, 0)):", "(0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):"),), ([[0, 1], [1, 0]],)),
)  # fmt: skip
