# why: A datagram socket pair can be bound and sent elsewhere, past a filter on socket().
# allow: failed
import socket
def f(x):
    try:
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        left.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        left.sendto(b"x", "\0other")
        return "ESCAPED"
    except OSError:
        return 0
