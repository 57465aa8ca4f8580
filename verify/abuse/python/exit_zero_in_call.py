# why: Leave with exit code 0 inside the first call.
# allow: failed
import os
def f(x):
    os._exit(0)
