# why: Open the parent's descriptors through /proc/PID/fd to write a verdict of one's own.
# allow: failed
# backends: bubblewrap docker
import os
def f(x):
    for pid in {os.getppid(), 1, 2, 3}:
        for number in range(8):
            try:
                fd = os.open("/proc/%d/fd/%d" % (pid, number), os.O_WRONLY)
                if pid != os.getpid():
                    os.write(fd, b"\0\0\0\1P")
                    return "ESCAPED"
            except OSError:
                pass
    return 0
