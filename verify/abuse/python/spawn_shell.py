# why: Run a shell command that leaves a background process and a file.
# allow: failed
import subprocess
def f(x):
    try:
        subprocess.Popen(["/bin/sh", "-c", "sleep 300 & echo x > /tmp/trihead-escape-{{MARK}}; nohup sleep 300"],
                         start_new_session=True)
    except OSError:
        pass
    return 0
