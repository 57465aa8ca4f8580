# why: A host-root uid without capabilities may still write /proc/sys through the owner check.
# allow: failed
# backends: bubblewrap docker
def f(x):
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/self/oom_score_adj"):
        try:
            with open(path, "w") as file:
                file.write("-900" if "oom" in path else "|/tmp/evil")
            return "ESCAPED " + path
        except OSError:
            pass
    return 0
