# why: Catastrophic backtracking in the regex engine.
# allow: timeout
import re
def f(x):
    return re.match(r"(a+)+$", "a" * 60 + "b")
