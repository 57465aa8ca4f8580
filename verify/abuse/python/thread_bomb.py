# why: Start threads without end.
# allow: failed runtime_error timeout oom
import threading, time
def f(x):
    while True:
        threading.Thread(target=time.sleep, args=(100,)).start()
