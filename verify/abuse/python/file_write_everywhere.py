# why: Leave a file in every folder that is usually writable on a host.
# allow: failed
def f(x):
    made = []
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/etc", "/root", "/home", "/usr/local/bin", "{{FOLDER}}", "/"):
        try:
            with open(folder + "/trihead-escape-{{MARK}}", "w") as file:
                file.write("x")
            made.append(folder)
        except OSError:
            pass
    return made
