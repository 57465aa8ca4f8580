# why: Write a well-formed answer frame with a made-up nonce before the real one.
# allow: bad_output failed
import os, struct
def f(x):
    body = b"n" * 16 + b"V" + b"i" + struct.pack(">I", 1) + bytes([2])
    os.write(3, struct.pack(">I", len(body)) + body)
    return 0
