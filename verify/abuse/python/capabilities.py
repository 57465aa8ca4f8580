# why: Take back capabilities: the fork server has one that children must not have.
# allow: failed
# backends: bubblewrap docker
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    if any(data):
        return "ESCAPED %r" % list(data)
    full = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
    return "ESCAPED" if libc.capset(header, full) == 0 else 0
