# why: Leave a message for a later check in what a folder or a device node carries itself: extended attributes,
#   times, mode. Wiping files does not wipe these; as root, the host's own /dev/null could be given another mode.
# allow: failed
# repeat: 3
# backends: bubblewrap docker
import os
PLACES = ("/tmp", ".", "/", "/dev", "/dev/null", "/dev/zero", "/dev/shm", "/proc", "/usr")
seen = []
for place in PLACES:
    try:
        if int(os.stat(place).st_mtime) == 77_777 or "user.message" in os.listxattr(place):
            seen.append("ESCAPED message at " + place)
        if place != "/tmp" and os.path.realpath(place) != "/tmp":
            os.chmod(place, os.stat(place).st_mode & 0o7777)
            seen.append("ESCAPED chmod " + place)
    except OSError:
        pass
for place in PLACES:
    for leave in (lambda: os.setxattr(place, "user.message", b"1"), lambda: os.utime(place, (77_777, 77_777))):
        try:
            leave()
        except OSError:
            pass
try:
    os.chmod("/tmp", 0o100)
except OSError:
    pass
def f(x):
    return seen
