"""Candidates with which the contract tries a sandbox's walls."""

from __future__ import annotations

DAEMON = """
import os, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.5)
            open('/tmp/trihead-late', 'w').close()
            time.sleep(60)
        os._exit(0)
    return x + 1
"""
COUNT_FILES = """
import os
def f(x):
    n = len(os.listdir('.'))
    open('left', 'w').write('x')
    return x + 1 + n
"""
SOCKETS = """
import socket
def f(x):
    for family in (1, 2, 10, 16):
        try:
            socket.socket(family)
            return family
        except OSError:
            pass
    return x + 1
"""
SHARE_OUT = """
import os, time
def f(x):
    children = []
    for _ in range(24):
        r, w = os.pipe()
        children.append(os.fork())
        if children[-1] == 0:
            keep = bytearray(b'x') * (150 << 20)
            os.write(w, b'1')
            time.sleep(30)
        os.close(w)
        os.read(r, 1)
        os.close(r)
    return sum(os.waitpid(child, os.WNOHANG) == (0, 0) for child in children)
"""
READABLE = """
import os
def f(paths):
    return [p for p in paths if os.path.exists(p) and os.access(p, os.R_OK) and not os.path.isdir(p)]
"""
