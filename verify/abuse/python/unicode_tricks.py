# why: Names that look alike, bidirectional marks and a lone surrogate in output and errors.
# allow: failed runtime_error
def f(x):
    print("\u202eDESSAP\u202c \x1b[2J\x1b]0;owned\x07 \ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    raise ValueError("\u202e\x1b[32mPASSED\x1b[0m 2/2 \ud800")
