# why: Make a user namespace inside: its root can mount, and reaches more of the kernel.
# allow: failed
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    flags = (0x10000000, 0x00020000, 0x40000000, 0x20000000, 0x10020000)
    if any(libc.unshare(flag) == 0 for flag in flags):
        return "ESCAPED unshare"
    pid = libc.syscall(ctypes.c_long(56), ctypes.c_long(0x10000000 | 17), None, None, None, None)
    if pid == 0:
        os._exit(0)
    return "ESCAPED clone" if pid > 0 else 0
