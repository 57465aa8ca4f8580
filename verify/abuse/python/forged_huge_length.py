# why: Announce a frame of four gigabytes and send nothing: a reader without a cap allocates or waits.
# allow: output_limit failed bad_output timeout
import os
def f(x):
    os.write(3, b"\xff\xff\xff\xff")
    while True:
        pass
