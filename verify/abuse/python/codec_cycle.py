# why: A list that holds itself.
# allow: output_limit failed
def f(x):
    value = []
    value.append(value)
    return value
