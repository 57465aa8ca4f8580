# why: Read address zero.
# allow: runtime_error
import ctypes
def f(x):
    return ctypes.string_at(0)
