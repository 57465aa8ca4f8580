# why: A script that leaves a daemon with stdout open, so that a reader waits for the end of file.
# allow: passed failed
# kind: program
# cases: [{"stdin": "1\n", "stdout": "2\n"}]
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(300)
print(int(input()) + 1)
