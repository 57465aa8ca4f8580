# why: Read the memory of every other process, where the expected values might lie.
# allow: failed
# backends: bubblewrap docker
import os
def f(x):
    for pid in [name for name in (os.listdir("/proc") if os.path.isdir("/proc") else []) if name.isdigit()]:
        if int(pid) == os.getpid():
            continue
        for part in ("mem", "maps", "environ", "cmdline" if "{{BACKEND}}" == "bubblewrap" else "auxv"):
            try:
                with open("/proc/%s/%s" % (pid, part), "rb") as file:
                    if file.read(8):
                        return "ESCAPED " + part
            except OSError:
                pass
    return 0
