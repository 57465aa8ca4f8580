# why: A daemon by double fork and setsid, with its descriptors closed, to outlive the check.
# allow: failed
import os, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(64):
                try:
                    os.close(fd)
                except OSError:
                    pass
            time.sleep(300)
        os._exit(0)
    return 0
