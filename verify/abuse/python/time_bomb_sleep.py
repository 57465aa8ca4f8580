# why: Sleep beyond the limit, without using the CPU.
# allow: timeout
import time
def f(x):
    time.sleep(1000)
    return x + 1
