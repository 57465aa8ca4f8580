# why: The same against the driver of trusted test source, which reads from the same socket.
# allow: bad_output failed
# kind: test
import os, struct, sys
def f(x):
    frame = sys._getframe()
    nonce = b""
    while frame:
        nonce = frame.f_locals.get("nonce", nonce)
        frame = frame.f_back
    for kind in (b"P", b"R", b"U"):
        body = nonce + kind + b"t\0\0\0\2i\0\0\0\1\5s\0\0\0\0"
        os.write(3, struct.pack(">I", len(body)) + body)
    return 0
