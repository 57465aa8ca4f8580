# why: Close the result channel and go on: nobody must wait longer than the limit.
# allow: failed timeout
import os, time
def f(x):
    os.close(3)
    time.sleep(60)
