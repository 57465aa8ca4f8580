# why: A finder that answers every import, for code that runs later in the same process.
# allow: failed bad_output runtime_error
import sys, types
class Finder:
    def find_spec(self, name, path=None, target=None):
        print("import", name)
        return None
sys.meta_path.insert(0, Finder())
sys.path.insert(0, "/tmp")
open("json.py", "w").write("raise SystemExit(0)")
sys.modules.pop("json", None)
def f(x):
    return 0
