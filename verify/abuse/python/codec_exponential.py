# why: Thirty shared levels that unfold to a billion nodes: caps must count what is sent, not what is held.
# allow: output_limit
def f(x):
    value = [0]
    for _ in range(30):
        value = [value, value]
    return value
