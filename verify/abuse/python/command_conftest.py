# why: A conftest that turns failures into passes. A test command trusts its own process, so this may pass;
#   it must not escape.
# allow: passed failed
# kind: command
# limits: {"wall_s": 40, "cpu_s": 30, "mem_mb": 1024, "disk_mb": 16, "processes": 32, "out_bytes": 65536}
import os
open("conftest.py", "w").write("def pytest_runtest_makereport(item, call):\n    pass\n")
open("/tmp/trihead-escape-{{MARK}}", "w").close()
def f(x):
    return 0
