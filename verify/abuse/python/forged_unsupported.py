# why: Call oneself unsupported: a policy would dodge its bad rewards that way.
# allow: bad_output failed
import os, struct, sys
def f(x):
    frame = sys._getframe()
    nonce = b""
    while frame:
        nonce = frame.f_locals.get("nonce", nonce)
        frame = frame.f_back
    body = nonce + b"U"
    os.write(3, struct.pack(">I", len(body)) + body)
    return 0
