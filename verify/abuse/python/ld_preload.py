# why: Set LD_PRELOAD, PYTHONSTARTUP and PYTHONPATH for whatever is started next.
# allow: failed
import os
os.environ.update({"LD_PRELOAD": "/tmp/evil.so", "PYTHONSTARTUP": "/tmp/evil.py", "PYTHONPATH": "/tmp"})
with open("sitecustomize.py", "w") as file:
    file.write("import os; os._exit(0)")
def f(x):
    return 0
