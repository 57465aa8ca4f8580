# why: Run a set-uid program to gain rights.
# allow: failed
import os, subprocess
def f(x):
    for program in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"):
        if os.path.exists(program):
            try:
                done = subprocess.run([program, "--version"], capture_output=True, timeout=1)
            except (OSError, subprocess.SubprocessError):
                continue
    with open("/proc/self/status") if os.path.exists("/proc/self/status") else open("/dev/null") as file:
        text = file.read()
    return "ESCAPED" if text and "NoNewPrivs:\t1" not in text else 0
