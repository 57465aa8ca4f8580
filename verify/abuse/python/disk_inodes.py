# why: Use up inodes with empty files.
# allow: failed runtime_error timeout passed
import os
def f(x):
    try:
        for number in range(200_000):
            os.close(os.open("i%d" % number, os.O_CREAT | os.O_WRONLY))
    except OSError:
        return x + 1
    return 0
