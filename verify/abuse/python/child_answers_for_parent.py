# why: A forked child keeps the channel and answers when its parent is gone.
# allow: failed bad_output timeout
import os
def f(x):
    if os.fork():
        os._exit(0)
    return 0
