# why: Take memory as anonymous shared maps and memfds, which some limits do not count.
# allow: failed oom runtime_error timeout
# backends: bubblewrap docker
import mmap, os
def f(x):
    total = 0
    for _ in range(40):
        fd = os.memfd_create("m")
        chunk = b"x" * (1 << 20)
        for _ in range(100):
            total += os.write(fd, chunk)
    return "ESCAPED %d" % total
