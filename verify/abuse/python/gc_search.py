# why: Search every object the collector knows for the text of the tests.
# allow: failed bad_output
# kind: test
# leak: LEAK
import gc
def f(x):
    for item in gc.get_objects():
        if isinstance(item, dict):
            for value in list(item.values()):
                if isinstance(value, (str, bytes)) and ("ass" + "ert candidate" if isinstance(value, str) else b"ass" + b"ert candidate") in value:
                    return "LEAK"
    return 0
