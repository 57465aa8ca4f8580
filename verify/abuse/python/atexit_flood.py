# why: Work in atexit handlers and destructors, after the harness thinks it is over.
# allow: failed
import atexit
@atexit.register
def late():
    open("/tmp/trihead-escape-{{MARK}}", "w").close()
    while True:
        pass
class Last:
    def __del__(self):
        while True:
            pass
keep = Last()
def f(x):
    return 0
