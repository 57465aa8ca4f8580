# why: Recurse through C frames until the stack is gone.
# allow: runtime_error failed oom
import sys
sys.setrecursionlimit(10**9)
def f(x):
    class A:
        def __repr__(self):
            return repr(self)
    return repr(A())
