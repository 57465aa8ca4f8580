# why: Raw system calls through ctypes: io_uring, bpf, userfaultfd, keyctl, perf, pidfd.
# allow: failed
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    buffer = ctypes.create_string_buffer(256)
    got = []
    for number in (425, 321, 323, 250, 298, 434, 438, 304, 310, 175, 246, 135 if "{{BACKEND}}" == "bubblewrap" else 425):
        if libc.syscall(ctypes.c_long(number), ctypes.c_long(1), buffer, ctypes.c_long(0), ctypes.c_long(0)) >= 0:
            got.append(number)
    return "ESCAPED %r" % got if got else 0
