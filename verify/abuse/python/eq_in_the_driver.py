# why: The same where trusted test source does the comparing: nothing but plain values may cross.
# allow: bad_output
# kind: test
class Yes:
    def __eq__(self, other): return True
    def __bool__(self): return True
def f(x):
    return Yes()
