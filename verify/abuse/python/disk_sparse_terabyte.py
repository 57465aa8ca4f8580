# why: One sparse file of a terabyte: a cap on file size must hold.
# allow: failed runtime_error
import os
def f(x):
    with open("big", "wb") as file:
        os.ftruncate(file.fileno(), 1 << 40)
    return "ESCAPED"
