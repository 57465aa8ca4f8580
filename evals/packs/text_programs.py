"""Programs on text, numbers and dates."""

# ruff: noqa: E501 - tasks are data: a sentence or a program stays on one line

from __future__ import annotations

import random
from collections.abc import Callable

from evals.packs.bend_task import lists, nat, words
from evals.packs.program import Program, make_program

_text: Callable[[random.Random], str] = words("ab cd,e", 14)

PROGRAMS: tuple[Program, ...] = (
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
    make_program(
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
)  # fmt: skip
