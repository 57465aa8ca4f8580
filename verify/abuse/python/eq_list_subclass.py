# why: A list whose iteration, length and comparison lie.
# allow: bad_output
class Liar(list):
    def __iter__(self): return iter([2])
    def __len__(self): return 1
    def __eq__(self, other): return True
def f(x):
    return Liar()
