"""A hand-assembled seccomp filter for x86_64 and aarch64, so that no libseccomp is needed.

What a check has no honest use for fails with EPERM: other processes' memory, namespaces, mounts, sockets,
SysV IPC and POSIX queues (they outlive a process), keyrings, io_uring (it bypasses filters), module loading,
clocks. System calls newer than this table fail with ENOSYS, as on an older kernel. `clone3` does too, since a
filter cannot read its flags: libc falls back to `clone`, whose namespace flags are refused.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from verify.inside.linux import PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NEWEST = 462  # mseal; the numbers from 424 on are the same on both

# name: (x86_64, aarch64), None where the architecture has no such call
DENIED: dict[str, tuple[int | None, int | None]] = {
    # memory, descriptors and signals of other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # sockets of any family; socketpair has a rule of its own
    "socket": (41, 198),
    "bind": (49, 200),
    "connect": (42, 203),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    # objects that outlive the process
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # kernel surface without an honest use here
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "personality": (135, 92),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "nfsservctl": (180, 42),
    "vmsplice": (278, 75),
}
# calls whose first argument names a process: only oneself (0)
SELF_ONLY = {
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}
SETPRIORITY, IOPRIO_SET = (141, 140), (251, 30)  # (which, who, value): who must be 0
CLONE, CLONE3 = (56, 220), (435, 435)
SOCKETPAIR = (53, 199)
KILL, TKILL, TGKILL = (62, 129), (200, 130), (234, 131)
CLONE_NAMESPACES = 0x7E020080  # NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET NEWTIME

Rule = tuple[tuple[int, int, int, int], ...]  # opcode, jump if true, jump if false, value

_LD, _JEQ, _JGE, _JSET, _RET, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_PASS: Rule = ((_RET, 0, 0, _ALLOW),)
_NR, _ARCH = 0, 4
_SOCK_STREAM = 1


def _argument(index: int) -> int:
    return 16 + 8 * index  # the low half; both architectures are little-endian


def program(machine: str, own_pid: int | None = None) -> bytes:
    """The BPF program for `machine`. With `own_pid`, signals may go to that process only (or its group, 0).

    A binary search for the number of the call: the kernel runs a new filter for every number there is, to
    learn which calls it always allows, and each check installs one.

    Raises KeyError for an architecture without a table.
    """
    column = {"x86_64": 0, "aarch64": 1}[machine]
    rules = _rules(column, own_pid)
    starts = [0]
    for number in range(1, NEWEST + 2):
        if rules.get(number, _PASS) != rules.get(number - 1, _PASS):
            starts.append(number)
    code = [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 1, 0, AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL),
        (_LD, 0, 0, _NR),
        *_search(starts, rules),
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in code)


def _rules(column: int, own_pid: int | None) -> dict[int, Rule]:
    """What to do with each call that is not simply allowed. NEWEST + 1 stands for all above, x32 calls among
    them (bit 30 is set).
    """
    refuse = _fail(errno.EPERM)
    rules = {number: refuse for numbers in DENIED.values() if (number := numbers[column]) is not None}
    rules[NEWEST + 1] = rules[CLONE3[column]] = _fail(errno.ENOSYS)
    for numbers in SELF_ONLY.values():
        rules[numbers[column]] = _only(0, (0,))
    for numbers in (SETPRIORITY, IOPRIO_SET):
        rules[numbers[column]] = _only(1, (0,))
    rules[CLONE[column]] = (
        (_LD, 0, 0, _argument(0)),
        (_JSET, 0, 1, CLONE_NAMESPACES),
        *refuse,
        *_PASS,
    )
    rules[SOCKETPAIR[column]] = (
        (_LD, 0, 0, _argument(1)),
        (_AND, 0, 0, 0xF),
        (_JEQ, 1, 0, _SOCK_STREAM),  # a datagram pair can be bound and sent elsewhere
        *refuse,
        *_PASS,
    )
    if own_pid is not None:
        rules[TKILL[column]] = refuse
        rules[KILL[column]] = rules[TGKILL[column]] = _only(0, (own_pid, 0))
    return rules


def _fail(number: int) -> Rule:
    return ((_RET, 0, 0, _ERRNO | number),)


def _only(index: int, allowed: tuple[int, ...]) -> Rule:
    """Allow the call where that argument is one of these."""
    tests = tuple((_JEQ, len(allowed) - place, 0, value & 0xFFFFFFFF) for place, value in enumerate(allowed))
    return ((_LD, 0, 0, _argument(index)), *tests, *_fail(errno.EPERM), *_PASS)


def _search(starts: list[int], rules: dict[int, Rule]) -> Rule:
    """Code that finds the range of the loaded number, each range from its start to the next, and its rule."""
    if len(starts) == 1:
        return rules.get(starts[0], _PASS)
    middle = len(starts) // 2
    below, above = _search(starts[:middle], rules), _search(starts[middle:], rules)
    return ((_JGE, len(below), 0, starts[middle]), *below, *above)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Filter:
    """A program in the form that the kernel takes, ready to `install`."""

    def __init__(self, code: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(code, len(code))
        self._program = _Program(len(code) // 8, ctypes.cast(self._buffer, ctypes.c_void_p))
        self._address = ctypes.addressof(self._program)

    def install(self) -> None:
        """Apply it to this thread and all it will start, for ever. Raises OSError if the kernel refuses."""
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_SECCOMP, 2, self._address)  # SECCOMP_MODE_FILTER
