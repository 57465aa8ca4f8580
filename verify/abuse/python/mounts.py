# why: Mount, unmount what covers /proc, change the root, pivot.
# allow: failed
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    tries = [libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None), libc.umount2(b"/proc", 2), libc.umount2(b"/tmp", 2),
             libc.chroot(b"/tmp"), libc.mount(b"proc", b"/tmp", b"proc", 0, None), libc.mount(b"none", b"/", None, 32, None)]
    return "ESCAPED %r" % tries if 0 in tries else 0
