# why: Spin inside one C call, where no Python signal handler ever runs.
# allow: timeout oom
import itertools
def f(x):
    return sum(1 for _ in itertools.product(range(1000), repeat=6))
