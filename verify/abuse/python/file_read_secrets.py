# why: Read the host's secrets by their usual paths and a planted canary by its real one.
# allow: failed
# backends: bubblewrap docker
def f(x):
    found = []
    for path in ("{{CANARY}}", "/etc/shadow", "/etc/passwd", "/root/.bashrc", "/root/.ssh/id_rsa", "/proc/1/environ"):
        try:
            with open(path) as file:
                found.append(path + ": " + file.read(200))
        except OSError:
            pass
    return "ESCAPED " + repr(found) if any("{{CANARY}}" in item or "shadow" in item for item in found) else found
