# why: Make a hard link, a device node and a FIFO in scratch, for the cleaner or the judge to trip on.
# allow: failed runtime_error
import os, stat
def f(x):
    done = []
    for what in (lambda: os.link("/usr/bin/env", "env"), lambda: os.mknod("disk", 0o666 | stat.S_IFBLK, os.makedev(254, 0)),
                 lambda: os.mkfifo("pipe")):
        try:
            what()
            done.append(1)
        except OSError:
            done.append(0)
    if os.path.exists("disk"):
        with open("disk", "rb") as file:
            return "ESCAPED " + repr(file.read(16))
    return done
