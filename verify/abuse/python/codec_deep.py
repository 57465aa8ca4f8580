# why: An answer nested deeper than any honest one, to overflow a recursive decoder.
# allow: output_limit failed
def f(x):
    value = []
    for _ in range(100_000):
        value = [value]
    return value
