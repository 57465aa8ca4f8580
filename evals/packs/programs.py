"""Small verified Python programs of our own, the seeds of the repair benchmark. Each is one function with
inputs.

The text of a program is what a model sees (mutated); inputs are drawn from a seed, so nothing is memorised.
"""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evals.packs.bend_task import Draw, lists, nat, words


@dataclass(frozen=True, slots=True)
class Program:
    """doc: what it does, in one sentence; it becomes the docstring. draws: one generator an argument."""

    entry: str
    doc: str
    source: str
    draws: tuple[Draw, ...]
    edges: tuple[tuple[Any, ...], ...]

    def inputs(self, count: int = 12) -> list[tuple[Any, ...]]:
        rng = random.Random(self.entry)
        return [*self.edges, *(tuple(draw(rng) for draw in self.draws) for _ in range(count))]


def _program(doc: str, source: str, *draws: Draw, edges: tuple[tuple[Any, ...], ...]) -> Program:
    entry = source.split("(", 1)[0].removeprefix("\ndef ").strip()
    return Program(entry, doc, source.strip("\n") + "\n", draws, edges)


def _matrix(rng: random.Random) -> list[list[int]]:
    width = rng.randint(1, 4)
    return [[rng.randint(0, 9) for _ in range(width)] for _ in range(rng.randint(1, 4))]


def _intervals(rng: random.Random) -> list[list[int]]:
    starts = [rng.randint(0, 20) for _ in range(rng.randint(0, 6))]
    return [[start, start + rng.randint(0, 6)] for start in starts]


_numbers = lists(nat(-20, 20))
_text: Callable[[random.Random], str] = words("ab cd,e", 14)

PROGRAMS: tuple[Program, ...] = (
    _program(
        "Return the numbers of values that lie between low and high, both included.",
        """
def within(values, low, high):
    kept = []
    for value in values:
        if low <= value <= high:
            kept.append(value)
    return kept
""",
        _numbers, nat(-10, 0), nat(0, 10), edges=(([], 0, 1), ([1, 2, 3], 1, 3), ([-1, 4], 0, 3)),
    ),
    _program(
        "Return the average of each window of size neighbours in values.",
        """
def moving_average(values, size):
    averages = []
    for start in range(len(values) - size + 1):
        window = values[start:start + size]
        averages.append(sum(window) / size)
    return averages
""",
        _numbers, nat(1, 4), edges=(([1, 2, 3, 4], 2), ([], 1), ([5], 1)),
    ),
    _program(
        "Return text with each run of equal characters written as the character and the run's length.",
        """
def run_lengths(text):
    parts = []
    index = 0
    while index < len(text):
        end = index
        while end < len(text) and text[end] == text[index]:
            end += 1
        parts.append(text[index] + str(end - index))
        index = end
    return "".join(parts)
""",
        words("aab", 12), edges=(("",), ("a",), ("aabbb",)),
    ),
    _program(
        "Return the position of target in the sorted list values, or -1 when it is not there.",
        """
def find_sorted(values, target):
    low, high = 0, len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] == target:
            return middle
        if values[middle] < target:
            low = middle + 1
        else:
            high = middle - 1
    return -1
""",
        lambda rng: sorted(set(_numbers(rng))), nat(-20, 20),
        edges=(([], 1), ([1], 1), ([1, 3, 5, 7], 7), ([1, 3, 5, 7], 1), ([1, 3, 5, 7], 4)),
    ),
    _program(
        "Return the second largest of the different numbers in values, or None when there is none.",
        """
def second_largest(values):
    best = None
    second = None
    for value in values:
        if best is None or value > best:
            second = best
            best = value
        elif value != best and (second is None or value > second):
            second = value
    return second
""",
        _numbers, edges=(([],), ([1],), ([2, 2],), ([1, 2],), ([3, 1, 2],)),
    ),
    _program(
        "Merge intervals that overlap or touch; return them sorted by their start.",
        """
def merge_intervals(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged
""",
        _intervals, edges=(([],), ([[1, 3], [2, 5]],), ([[1, 9], [2, 3]],), ([[1, 2], [4, 5]],), ([[1, 2], [2, 3]],)),
    ),
    _program(
        "Return how often each word of text occurs; words are split at white space and compared in lower case.",
        """
def word_counts(text):
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts
""",
        words("aB b  ", 14), edges=(("",), ("a A b",)),
    ),
    _program(
        "Return the rows of a matrix as columns.",
        """
def transpose(matrix):
    result = []
    for column in range(len(matrix[0])):
        result.append([row[column] for row in matrix])
    return result
""",
        _matrix, edges=(([[1]],), ([[1, 2, 3], [4, 5, 6]],)),
    ),
    _program(
        "Return 1 when every bracket in text is closed by its own kind in the right order, else 0.",
        """
def balanced(text):
    partner = {")": "(", "]": "["}
    stack = []
    for char in text:
        if char in "([":
            stack.append(char)
        elif char in partner:
            if not stack or stack.pop() != partner[char]:
                return 0
    return 0 if stack else 1
""",
        words("()[]", 6), edges=(("",), ("()",), ("([])",), ("(]",), (")",), ("((",)),
    ),
    _program(
        "Return the whole number n written in the given base from 2 to 10, as a string.",
        """
def in_base(n, base):
    if n == 0:
        return "0"
    digits = ""
    while n > 0:
        digits = str(n % base) + digits
        n = n // base
    return digits
""",
        nat(0, 500), nat(2, 10), edges=((0, 2), (8, 2), (10, 10)),
    ),
    _program(
        "Split values into chunks of at most size numbers.",
        """
def chunks(values, size):
    result = []
    for start in range(0, len(values), size):
        result.append(values[start:start + size])
    return result
""",
        _numbers, nat(1, 4), edges=(([], 2), ([1, 2, 3], 2), ([1, 2, 3, 4], 2)),
    ),
    _program(
        "Return the longest word of text, the first of them when several are equally long, or an empty string.",
        """
def longest_word(text):
    best = ""
    for word in text.split():
        if len(word) > len(best):
            best = word
    return best
""",
        words("abc  ", 16), edges=(("",), ("a bb cc",)),
    ),
    _program(
        "Move the last steps values of the list to its front; steps may be larger than the list.",
        """
def rotate(values, steps):
    if not values:
        return []
    steps = steps % len(values)
    return values[len(values) - steps:] + values[:len(values) - steps]
""",
        _numbers, nat(0, 12), edges=(([], 3), ([1, 2, 3], 0), ([1, 2, 3], 1), ([1, 2, 3], 7)),
    ),
    _program(
        "Return the price after discount: 10 percent off from 100 on, 20 percent from 500 on, in whole cents rounded down.",
        """
def discounted(price):
    if price >= 500:
        rate = 20
    elif price >= 100:
        rate = 10
    else:
        rate = 0
    return price * (100 - rate) // 100
""",
        nat(0, 900), edges=((99,), (100,), (499,), (500,), (0,)),
    ),
    _program(
        "Return the largest sum of neighbouring numbers in values; 0 for the empty list.",
        """
def best_run(values):
    best = 0
    current = 0
    for value in values:
        current = max(0, current + value)
        best = max(best, current)
    return best
""",
        _numbers, edges=(([],), ([-1],), ([2, -1, 3],), ([-2, 5, -1],)),
    ),
    _program(
        "Return the text with the first letter of each word made capital and the others small.",
        """
def title_case(text):
    words = []
    for word in text.split(" "):
        words.append(word[:1].upper() + word[1:].lower())
    return " ".join(words)
""",
        words("aBc ", 14), edges=(("",), ("hello World",)),
    ),
    _program(
        "Return the indices of two different numbers of values that add up to total, smallest first, or None.",
        """
def pair_with_sum(values, total):
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if values[i] + values[j] == total:
                return [i, j]
    return None
""",
        lists(nat(0, 9), 6), nat(0, 12), edges=(([], 1), ([5], 10), ([1, 2, 3], 5), ([3, 3], 6)),
    ),
    _program(
        "Apply each command in turn: 'push N', 'pop' or 'dup'; return the stack, bottom first. pop and dup of nothing do nothing.",
        """
def run_stack(commands):
    stack = []
    for command in commands:
        name, _, argument = command.partition(" ")
        if name == "push":
            stack.append(int(argument))
        elif name == "pop" and stack:
            stack.pop()
        elif name == "dup" and stack:
            stack.append(stack[-1])
    return stack
""",
        lists(lambda rng: rng.choice(["push 1", "push 2", "push 30", "pop", "dup"])),
        edges=(([],), (["pop"],), (["push 3", "dup"],), (["push 1", "push 2", "pop"],)),
    ),
    _program(
        "Return the day of the year of day in month, for a year of 365 days; months count from 1.",
        """
def day_of_year(month, day):
    lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    total = day
    for length in lengths[:month - 1]:
        total += length
    return total
""",
        nat(1, 12), nat(1, 28), edges=((1, 1), (12, 31), (3, 1)),
    ),
    _program(
        "Split a line of comma-separated fields; a field in double quotes may hold commas, and the quotes are dropped.",
        '''
def split_fields(line):
    fields = [""]
    quoted = False
    for char in line:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            fields.append("")
        else:
            fields[-1] += char
    return fields
''',
        words('ab,"', 9), edges=(("",), ("a,b",), ('"a,b",c',)),
    ),
    _program(
        "Return the values in order without those that came before.",
        """
def unique(values):
    seen = set()
    result = []
    for value in values:
        if value not in seen:
            seen.add(value)
            result.append(value)
    return result
""",
        lists(nat(0, 4)), edges=(([],), ([1, 1],), ([2, 1, 2],)),
    ),
    _program(
        "Return how many steps the shortest way from the top left to the bottom right of grid takes over zeros, or -1.",
        """
def shortest_way(grid):
    height, width = len(grid), len(grid[0])
    if grid[0][0] or grid[-1][-1]:
        return -1
    queue = [(0, 0, 0)]
    seen = {(0, 0)}
    for row, column, steps in queue:
        if row == height - 1 and column == width - 1:
            return steps
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            r, c = row + down, column + right
            if 0 <= r < height and 0 <= c < width and not grid[r][c] and (r, c) not in seen:
                seen.add((r, c))
                queue.append((r, c, steps + 1))
    return -1
""",
        lambda rng: [[int(rng.random() < 0.25) for _ in range(4)] for _ in range(4)],
        edges=(([[0]],), ([[0, 1], [1, 0]],), ([[0, 0], [1, 0]],), ([[0, 0, 0], [1, 1, 0], [0, 0, 0]],)),
    ),
)  # fmt: skip
