# why: Open a million descriptors.
# allow: runtime_error failed
import os
def f(x):
    return len([os.open("/dev/null", os.O_RDONLY) for _ in range(10**6)])
