# why: Shared memory, semaphores, queues: they outlive the process that made them.
# allow: failed
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    made = [libc.shmget(0x7472, 4096, 0o1666), libc.semget(0x7472, 1, 0o1666), libc.msgget(0x7472, 0o1666),
            libc.mq_open(b"/trihead", 66, 0o666, None) if hasattr(libc, "mq_open") else -1]
    return "ESCAPED" if any(value != -1 for value in made) else 0
