# why: Kill, stop and interrupt the parent, the group and everybody.
# allow: failed
# backends: bubblewrap docker
import os, signal
def f(x):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        for pid in (-1, os.getppid(), {{JUDGE}}, *range(1, 64)):
            if pid in (0, os.getpid()):
                continue
            try:
                os.kill(pid, number)
            except OSError:
                pass
    return 0
