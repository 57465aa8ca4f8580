# why: A thread that goes on answering, printing and writing after the check is over.
# allow: failed bad_output output_limit
import threading, time
def late():
    while True:
        print("late")
        time.sleep(0.001)
threading.Thread(target=late).start()
threading.Thread(target=late, daemon=True).start()
def f(x):
    return 0
