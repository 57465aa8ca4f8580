# why: A test that leaves a daemon behind and fills the workspace.
# allow: passed failed timeout
# kind: command
# limits: {"wall_s": 40, "cpu_s": 30, "mem_mb": 1024, "disk_mb": 16, "processes": 32, "out_bytes": 65536}
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(300)
def f(x):
    try:
        with open("fill", "wb") as file:
            for _ in range(200):
                file.write(b"x" * (1 << 20))
        print("ESCAPED")
    except OSError:
        pass
    return x + 1
