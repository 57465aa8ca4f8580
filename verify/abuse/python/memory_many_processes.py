# why: Share the taking among processes, each below its own limit.
# allow: failed oom runtime_error timeout
# backends: bubblewrap docker
import os, time
def f(x):
    for _ in range(30):
        if os.fork() == 0:
            keep = bytearray(b"x") * (200 << 20)
            time.sleep(30)
            os._exit(0)
    time.sleep(1)
    return 0
