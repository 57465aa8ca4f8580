# why: Scan the process's own memory for the test source, which a fork could have inherited.
# allow: failed runtime_error
# kind: test
# leak: LEAK
import ctypes, sys
def f(x):
    needle = b"ass" + b"ert candidate(20)"
    for item in list(sys.modules.values()):
        for value in list(vars(item).values()) if hasattr(item, "__dict__") else []:
            if isinstance(value, bytes) and needle in value:
                return "LEAK"
    try:
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
            for line in maps:
                span, mode = line.split()[:2]
                if not mode.startswith("rw") or "[v" in line:
                    continue
                low, high = (int(part, 16) for part in span.split("-"))
                memory.seek(low)
                try:
                    if memory.read(min(high - low, 1 << 24)).count(needle) > 0:
                        return "LEAK"
                except OSError:
                    pass
    except OSError:
        return 0
    return 0
