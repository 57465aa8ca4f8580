# why: An integer of a hundred megabytes; printing it would take for ever.
# allow: output_limit oom timeout
def f(x):
    return 1 << 800_000_000
