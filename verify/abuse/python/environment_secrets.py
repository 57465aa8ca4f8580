# why: Print the environment: nothing of the judge's may be in it.
# allow: failed
# leak: {{SECRET}}
import os
def f(x):
    print(dict(os.environ))
    return 0
