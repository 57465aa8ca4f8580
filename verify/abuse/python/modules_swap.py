# why: Replace modules and builtins that the harness uses, to make it report what one likes.
# allow: bad_output failed runtime_error timeout
import builtins, os, struct, sys
for name in ("len", "isinstance", "type", "bytes", "int", "repr", "sorted", "callable", "getattr"):
    setattr(builtins, name, lambda *args, **kwargs: True)
os.write = lambda fd, data: 0
struct.pack = lambda *args: b""
sys.modules["verify"] = sys.modules["verify.codec"] = sys
def f(x):
    return 0
