# why: The x32 numbers of x86_64 go past filters that compare with the plain ones.
# allow: failed
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    return "ESCAPED" if libc.syscall(ctypes.c_long(0x40000000 | 41), 1, 1, 0) >= 0 else 0
