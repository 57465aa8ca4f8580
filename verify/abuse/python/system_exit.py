# why: Raise SystemExit(0), which `except Exception` lets through.
# allow: failed
def f(x):
    raise SystemExit(0)
