# why: Walk all frames up for a variable that looks like an expected value.
# allow: failed
# leak: LEAK
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for scope in (frame.f_locals, frame.f_globals):
            for name, value in list(scope.items()):
                if name in ("expected", "want", "wanted", "cases", "tests", "test", "answers"):
                    return "LEAK " + name
        frame = frame.f_back
    return 0
