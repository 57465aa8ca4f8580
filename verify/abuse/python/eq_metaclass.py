# why: A metaclass with a hostile __hash__ and __eq__: a table of types would call it.
# allow: bad_output
class Meta(type):
    def __hash__(cls): return hash(int)
    def __eq__(cls, other): return True
class Value(metaclass=Meta):
    pass
def f(x):
    return Value()
