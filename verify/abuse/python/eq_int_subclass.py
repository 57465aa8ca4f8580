# why: A subclass of int that is equal to everything: `isinstance` checks let it through.
# allow: bad_output
class Int(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def f(x):
    return Int(7)
