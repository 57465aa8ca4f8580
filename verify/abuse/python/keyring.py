# why: Leave a key in the session keyring, where another check could read it.
# allow: failed
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    key = libc.syscall(ctypes.c_long(248), b"user", b"trihead", b"x", ctypes.c_size_t(1), ctypes.c_int(-3))
    return "ESCAPED" if key > 0 else 0
