# why: Read the source and bytecode of every loaded code object for constants of the tests.
# allow: failed
# kind: test
# leak: LEAK
import gc, types
def f(x):
    for item in gc.get_referrers(types.CodeType) + [getattr(g, "__code__", None) for g in gc.get_objects() if callable(g)]:
        if isinstance(item, types.CodeType) and any(isinstance(c, str) and "ass" + "ert candidate" in c for c in item.co_consts):
            return "LEAK"
    return 0
