# why: Valid frame and nonce around bytes that no encoder makes: bad tags, lying lengths, repeated keys.
# allow: bad_output failed
import os, struct, sys
def f(x):
    frame = sys._getframe()
    nonce = b""
    while frame:
        nonce = frame.f_locals.get("nonce", nonce)
        frame = frame.f_back
    payload = b"S\0\0\0\2i\0\0\0\1\1i\0\0\0\1\1" if x == 1 else b"l\xff\xff\xff\xffN"
    body = nonce + b"V" + payload
    os.write(3, struct.pack(">I", len(body)) + body)
    import time
    time.sleep(0.2)
    return 0
