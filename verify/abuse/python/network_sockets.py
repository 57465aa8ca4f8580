# why: Open sockets of every family: internet, unix, netlink, packet, vsock.
# allow: failed
import socket
def f(x):
    opened = []
    for family in (1, 2, 10, 16, 17, 38, 40):
        for kind in (1, 2, 3):
            try:
                socket.socket(family, kind)
                opened.append(family)
            except OSError:
                pass
    return "ESCAPED %r" % opened if opened else 0
