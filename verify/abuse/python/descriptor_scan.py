# why: Look for inherited descriptors beyond the standard ones and write to all of them.
# allow: failed bad_output output_limit
import os
def f(x):
    for fd in range(3, 256):
        try:
            os.write(fd, b"\0\0\0\x13" + b"0" * 16 + b"V\x69")
        except OSError:
            pass
    return 0
