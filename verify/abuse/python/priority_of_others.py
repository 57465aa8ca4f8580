# why: Slow the server down: nice, scheduler and affinity calls on other processes.
# allow: failed
# backends: bubblewrap docker
import os
def f(x):
    worked = 0
    for pid in range(1, 64):
        if pid == os.getpid():
            continue
        for call in (lambda: os.setpriority(os.PRIO_PROCESS, pid, 19), lambda: os.sched_setaffinity(pid, {0})):
            try:
                call()
                worked += 1
            except OSError:
                pass
    return "ESCAPED" if worked else 0
