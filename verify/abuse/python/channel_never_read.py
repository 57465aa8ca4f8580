# why: Stop reading inputs and fill the channel the other way: a server that blocks on writing hangs.
# allow: timeout failed bad_output output_limit runtime_error
import os, time
def f(x):
    os.set_blocking(3, False)
    try:
        while True:
            os.write(3, b"\0" * 65536)
    except BlockingIOError:
        time.sleep(60)
