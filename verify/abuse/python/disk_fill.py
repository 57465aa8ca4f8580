# why: Fill the scratch folder: it must be ours, capped, and gone afterwards.
# allow: failed runtime_error oom
def f(x):
    written = 0
    for number in range(4096):
        with open("fill%d" % number, "wb") as file:
            written += file.write(b"x" * (1 << 20))
    return "ESCAPED: wrote %d" % written
