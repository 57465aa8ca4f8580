# why: Folders without any permission bits, so that a cleaner cannot enter them.
# allow: failed passed
import os
def f(x):
    os.makedirs("locked%d/inner" % x, exist_ok=True)
    open("locked%d/inner/file" % x, "w").close()
    os.chmod("locked%d/inner" % x, 0)
    os.chmod("locked%d" % x, 0)
    return x + 1
