"""The filter, run by an interpreter of classic BPF, against the tables that it is made from."""

from __future__ import annotations

import errno
import struct

import pytest

from verify.inside import seccomp

ALLOW, KILL, REFUSE, ABSENT = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
OWN = 4_242
ARGUMENTS = (0, 1, 2, 3, 5, OWN, OWN + 1, 0xFFFFFFFF, 0x20000, 0x10000000, 0x80, 0x01200011, 1 | 0o2000000)


def verdict(code: bytes, arch: int, number: int, *arguments: int) -> int:
    return run(code, arch, number, *arguments)[0]


def run(code: bytes, arch: int, number: int, *arguments: int) -> tuple[int, int]:
    """(what the filter answers, after how many instructions)"""
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, *(0,) * 6)[:6])
    at = value = steps = 0
    while True:
        opcode, if_true, if_false, k = struct.unpack_from("<HBBI", code, at * 8)
        at, steps = at + 1, steps + 1
        if opcode == 0x06:
            return int(k), steps
        if opcode == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif opcode == 0x54:
            value &= k
        else:
            met = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[opcode]
            at += if_true if met else if_false


def wanted(column: int, own: int | None, number: int, first: int, second: int) -> int:
    """The rules in words of Python, from the tables alone."""
    only_self = {numbers[column] for numbers in seccomp.SELF_ONLY.values()}
    if number > seccomp.NEWEST or number == seccomp.CLONE3[column]:
        return ABSENT
    if number in {numbers[column] for numbers in seccomp.DENIED.values()}:
        return REFUSE
    allowed = True
    if number in only_self:
        allowed = first == 0
    elif number in (seccomp.SETPRIORITY[column], seccomp.IOPRIO_SET[column]):
        allowed = second == 0
    elif number == seccomp.CLONE[column]:
        allowed = not first & seccomp.CLONE_NAMESPACES
    elif number == seccomp.SOCKETPAIR[column]:
        allowed = second & 0xF == 1
    elif own is not None and number == seccomp.TKILL[column]:
        allowed = False
    elif own is not None and number in (seccomp.KILL[column], seccomp.TGKILL[column]):
        allowed = first in (own, 0)
    return ALLOW if allowed else REFUSE


@pytest.mark.parametrize("own", [None, OWN])
@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_every_call_gets_its_rule(machine: str, column: int, own: int | None) -> None:
    code = seccomp.program(machine, own)
    arch = seccomp.AUDIT_ARCH[machine]
    numbers = [*range(seccomp.NEWEST + 40), 0x40000000, 0x40000001 + seccomp.NEWEST, 0x7FFFFFFF, 0xFFFFFFFF]
    for number in numbers:
        for first in ARGUMENTS:
            for second in (0, 1, 2, 0x80001, 0xFFFFFFFF):
                got = verdict(code, arch, number, first, second)
                assert got == wanted(column, own, number, first, second), (number, first, second)


def test_another_architecture_is_killed() -> None:
    code = seccomp.program("x86_64")
    assert verdict(code, seccomp.AUDIT_ARCH["aarch64"], 0) == KILL
    assert verdict(code, 0x40000003, 1) == KILL


def test_the_search_is_short() -> None:
    """The kernel runs a new filter for every number; a list of tests in a row costs a check a twentieth."""
    code, arch = seccomp.program("x86_64"), seccomp.AUDIT_ARCH["x86_64"]
    assert max(run(code, arch, number)[1] for number in range(seccomp.NEWEST + 2)) <= 16
