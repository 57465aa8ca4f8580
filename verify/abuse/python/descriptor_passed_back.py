# why: Send descriptors over the socket pair, to exhaust the server's table with rights in flight.
# allow: failed runtime_error bad_output
import array, socket
def f(x):
    channel = socket.socket(fileno=3)
    for _ in range(200):
        try:
            channel.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1] * 100))])
        except OSError:
            break
    channel.detach()
    return 0
