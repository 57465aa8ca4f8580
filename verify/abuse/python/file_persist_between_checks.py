# why: Count one's own runs in scratch folders: a later check would find what an earlier one left.
# allow: failed
# repeat: 2
# backends: bubblewrap docker
import os
seen = []
folders = [folder for folder in ("/tmp", "/dev/shm", "/var/tmp", ".") if os.path.isdir(folder)]
for folder in folders:
    seen += ["ESCAPED " + folder for name in os.listdir(folder) if name.startswith("trihead-run")]
for folder in folders:
    try:
        open(folder + "/trihead-run-{{MARK}}", "w").close()
    except OSError:
        pass
def f(x):
    return seen
