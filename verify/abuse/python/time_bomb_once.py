# why: Behave in the first calls and hang in a later one.
# allow: timeout
calls = 0
def f(x):
    global calls
    calls += 1
    while calls > 1:
        pass
    return x + 1
