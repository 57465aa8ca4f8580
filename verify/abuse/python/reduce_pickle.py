# why: An object whose __reduce__ runs a command in whoever unpickles it.
# allow: bad_output
import os
class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/trihead-escape-{{MARK}}",)
def f(x):
    return Bomb()
