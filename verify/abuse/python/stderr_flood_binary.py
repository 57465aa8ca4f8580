# why: Write binary rubbish to stderr without end, past Python's own buffers.
# allow: output_limit
import os
def f(x):
    while True:
        os.write(2, bytes(range(256)) * 16)
