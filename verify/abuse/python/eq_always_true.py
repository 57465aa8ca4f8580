# why: An object that is equal to everything.
# allow: bad_output
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def f(x):
    return Yes()
