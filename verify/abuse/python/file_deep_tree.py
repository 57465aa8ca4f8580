# why: A folder 10,000 levels deep: a recursive cleaner dies of it, and its inodes fill the scratch.
# allow: failed runtime_error passed
import os
def f(x):
    for _ in range(10_000):
        try:
            os.mkdir("d")
            os.chdir("d")
        except OSError:
            break
    return x + 1
