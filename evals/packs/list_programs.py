"""Programs on lists and grids."""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

import random

from evals.packs.bend_task import lists, nat
from evals.packs.program import Program, make_program


def _matrix(rng: random.Random) -> list[list[int]]:
    width = rng.randint(1, 4)
    return [[rng.randint(0, 9) for _ in range(width)] for _ in range(rng.randint(1, 4))]


def _intervals(rng: random.Random) -> list[list[int]]:
    starts = [rng.randint(0, 20) for _ in range(rng.randint(0, 6))]
    return [[start, start + rng.randint(0, 6)] for start in starts]


_numbers = lists(nat(-20, 20))

PROGRAMS: tuple[Program, ...] = (
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
