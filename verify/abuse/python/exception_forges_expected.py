# why: Raise an exception class named like the expected one, or like an AssertionError of the tests.
# allow: runtime_error failed
# kind: test
class AssertionError(Exception):
    pass
def f(x):
    raise AssertionError("all tests passed")
