# why: A script that prints the right answer for no input it read, then hangs in an exit hook.
# allow: timeout failed
# kind: program
# cases: [{"stdin": "1\n", "stdout": "3\n"}]
import atexit, time
atexit.register(time.sleep, 100)
print("2")
