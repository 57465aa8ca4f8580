# why: Fork without end.
# allow: failed runtime_error timeout oom passed
# backends: bubblewrap docker
import os
def f(x):
    while True:
        try:
            os.fork()
        except OSError:
            pass
