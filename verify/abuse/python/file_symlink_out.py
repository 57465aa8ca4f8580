# why: Replace scratch entries by symlinks to host files, so that whoever cleans up follows them.
# allow: failed
import os
def f(x):
    for name, target in (("a", "{{CANARY}}"), ("b", "/"), ("c", "{{FOLDER}}"), ("d", "/tmp")):
        try:
            os.symlink(target, name)
        except OSError:
            pass
    return 0
