# why: Push characters into a terminal with TIOCSTI.
# allow: failed
# backends: bubblewrap docker
import fcntl, os
def f(x):
    for fd in (0, 1, 2):
        try:
            fcntl.ioctl(fd, 0x5412, b"x")
            return "ESCAPED"
        except OSError:
            pass
    try:
        os.open("/dev/tty", os.O_RDWR)
        return "ESCAPED"
    except OSError:
        return 0
