# why: Send the driver's own word for "passed" as the answer to a case.
# allow: bad_output failed
import os, struct, sys
def f(x):
    frame = sys._getframe()
    nonce = b""
    while frame:
        nonce = frame.f_locals.get("nonce", nonce)
        frame = frame.f_back
    body = nonce + b"P"
    os.write(3, struct.pack(">I", len(body)) + body)
    return 0
