# why: Set trace and profile functions, to see or change what runs after the candidate.
# allow: failed
# leak: LEAK
import sys, threading
def spy(frame, event, arg):
    for name in ("expected", "want"):
        if name in frame.f_locals:
            print("LEAK", frame.f_locals[name])
    return spy
sys.settrace(spy)
sys.setprofile(lambda *args: None)
threading.settrace(spy)
def f(x):
    return 0
