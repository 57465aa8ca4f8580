# why: Answer everything at once with every value: a list for an int.
# allow: failed
def f(x):
    return list(range(100))
