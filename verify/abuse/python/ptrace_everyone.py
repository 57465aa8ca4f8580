# why: Attach to any process with ptrace and process_vm_readv.
# allow: failed
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    for pid in range(1, 200):
        if pid != os.getpid() and libc.ptrace(16, pid, 0, 0) == 0:
            return "ESCAPED"
    child = os.fork()
    if child == 0:
        while True:
            pass
    got = libc.ptrace(16, child, 0, 0)
    os.kill(child, 9) if "{{BACKEND}}" == "bubblewrap" else None
    return "ESCAPED" if got == 0 else 0
