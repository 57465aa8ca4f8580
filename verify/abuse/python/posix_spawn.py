# why: os.posix_spawn goes past guards that only patch os.system and subprocess.
# allow: failed runtime_error
import os
def f(x):
    if os.path.exists("/usr/bin/touch"):
        os.posix_spawn("/usr/bin/touch", ["touch", "{{FOLDER}}/trihead-escape-{{MARK}}"], {})
    return 0
