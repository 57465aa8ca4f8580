# why: A generator without end.
# allow: output_limit oom timeout
def f(x):
    while True:
        yield x
