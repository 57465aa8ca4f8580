# why: Print without end.
# allow: output_limit
def f(x):
    while True:
        print("x" * 4096)
