# why: Write into the memory of children that wait beside the candidate: one of them drives its own tests.
# allow: failed
# kind: test
# backends: bubblewrap docker
import os
for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
    if name.isdigit() and int(name) != os.getpid():
        try:
            fd = os.open("/proc/%s/mem" % name, os.O_RDWR)
            print("ESCAPED: opened the memory of", name)
        except OSError:
            pass
def f(x):
    return 0
