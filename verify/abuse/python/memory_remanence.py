# why: Search the own heap for what a fork inherited: freed memory of the server could hold the outputs,
#   the code or the tests of the checks before.
# allow: failed
# repeat: 3
# leak: LEAK
# limits: {"wall_s": 10, "cpu_s": 10, "mem_mb": 256}
import ctypes, os, re
pattern = re.compile(rb"REMNANT-[0-9a-f]{16}|ass" + rb"ert cand" + rb"idate\(20\)")
libc = ctypes.CDLL(None)
def readable_pages(start, count):
    reader, writer = os.pipe()
    for page in range(start, start + count * 4096, 4096):
        if libc.write(writer, ctypes.c_void_p(page), ctypes.c_size_t(4096)) == 4096:
            yield os.read(reader, 4096)
found = []
libc.sbrk.restype = ctypes.c_void_p
heap_end = libc.sbrk(0)
arena = id(object()) & ~0xFFFFF
for start, count in ((heap_end - (16 << 20), 4096), (arena - (32 << 20), 16384)):
    for page in readable_pages(start & ~0xFFF, count):
        found += pattern.findall(page)
def f(x):
    return ("LEAK" if found else "", "REMNANT-" + os.urandom(8).hex())
