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

_LD, _JEQ, _JGE, _JGT, _JSET, _RET, _AND = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06, 0x54
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NR, _ARCH = 0, 4
_X32_BIT = 0x40000000
_SOCK_STREAM = 1


def _argument(index: int) -> int:
    return 16 + 8 * index  # the low half; both architectures are little-endian


def program(machine: str, own_pid: int | None = None) -> bytes:
    """The BPF program for `machine`. With `own_pid`, signals may go to that process only (or its group, 0).

    Raises KeyError for an architecture without a table.
    """
    column = {"x86_64": 0, "aarch64": 1}[machine]
    code: list[tuple[int, int, int, int]] = []

    def op(opcode: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        code.append((opcode, if_true, if_false, value & 0xFFFFFFFF))

    def fail(number: int) -> None:
        op(_RET, _ERRNO | number)

    op(_LD, _ARCH)
    op(_JEQ, AUDIT_ARCH[machine], 1, 0)
    op(_RET, _KILL)
    op(_LD, _NR)
    op(_JGT, NEWEST, 0, 1)  # also every x32 call: bit 30 is set
    fail(errno.ENOSYS)
    op(_JEQ, CLONE3[column], 0, 1)
    fail(errno.ENOSYS)
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            op(_JEQ, number, 0, 1)
            fail(errno.EPERM)

    # each rule below: unless it is this call, jump over the rule's whole body
    for numbers in SELF_ONLY.values():
        op(_JEQ, numbers[column], 0, 4)
        op(_LD, _argument(0))
        op(_JEQ, 0, 1, 0)
        fail(errno.EPERM)
        op(_RET, _ALLOW)
    for numbers in (SETPRIORITY, IOPRIO_SET):
        op(_JEQ, numbers[column], 0, 4)
        op(_LD, _argument(1))
        op(_JEQ, 0, 1, 0)
        fail(errno.EPERM)
        op(_RET, _ALLOW)
    op(_JEQ, CLONE[column], 0, 4)
    op(_LD, _argument(0))
    op(_JSET, CLONE_NAMESPACES, 0, 1)
    fail(errno.EPERM)
    op(_RET, _ALLOW)
    op(_JEQ, SOCKETPAIR[column], 0, 5)
    op(_LD, _argument(1))
    op(_AND, 0xF)
    op(_JEQ, _SOCK_STREAM, 1, 0)  # a datagram pair can be bound and sent elsewhere
    fail(errno.EPERM)
    op(_RET, _ALLOW)
    if own_pid is not None:
        op(_JEQ, TKILL[column], 0, 1)
        fail(errno.EPERM)
        for number in (KILL[column], TGKILL[column]):
            op(_JEQ, number, 0, 5)
            op(_LD, _argument(0))
            op(_JEQ, own_pid, 2, 0)
            op(_JEQ, 0, 1, 0)
            fail(errno.EPERM)
            op(_RET, _ALLOW)
    op(_RET, _ALLOW)
    return b"".join(struct.pack("<HBBI", *line) for line in code)


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
