# why: A constant expression that the compiler would fold into gigabytes.
# allow: compile_error oom timeout failed output_limit
def f(x):
    return "x" * 10**10 * 10**6
