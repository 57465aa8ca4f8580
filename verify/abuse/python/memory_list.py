# why: Take all memory with one list.
# allow: oom
def f(x):
    keep = []
    while True:
        keep.append(bytearray(1 << 20))
