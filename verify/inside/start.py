"""Starts the fork server: sets up as its first frame says, and splits into template and relay.

`verify.forkserver` runs it inside a sandbox. All that can be done before the first job is done here, since
every check inherits it.
"""

from __future__ import annotations

import _socket
import gc
import importlib
import marshal
import os
import signal
import sys
from typing import NoReturn

from verify.codec import encode
from verify.inside import confine, linux
from verify.inside.server import Server
from verify.inside.template import Nursery, Template
from verify.inside.warm import fill_holes, warm_up
from verify.inside.wire import read_frame, write_frame


def _enter_own_pid_namespace() -> None:
    """Become init of a PID namespace that our user namespace owns, so that `setns` back to it is allowed."""
    linux.unshare(linux.CLONE_NEWPID)
    pid = os.fork()
    if pid:
        os.close(0)
        os.close(1)
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> NoReturn:
    """Set up as the first frame says, split into template and relay, serve."""
    config = marshal.loads(read_frame(0) or b"")
    mode: str = config["mode"]
    sys.dont_write_bytecode = True
    sys.path[:0] = config["path"]
    os.umask(0o077)
    os.environ.pop("LD_BIND_NOW", None)  # meant for the loader alone
    for name in config["preload"]:
        importlib.import_module(name)
    if mode == "namespaces":
        linux.seal_devices(config["devices"])
        _enter_own_pid_namespace()
    else:
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    if os.open("/dev/null", os.O_RDWR) != confine.CTL:  # children move their descriptors to 0..CTL
        raise RuntimeError("descriptor 3 is taken")
    confine.settle()
    warm_up()
    version = ".".join(map(str, sys.version_info[:3]))
    for name in [name for name in sys.modules if name.partition(".")[0] == "verify"]:
        del sys.modules[name]  # a candidate may have a `verify` of its own
    gc.collect()
    _filling = fill_holes()
    gc.freeze()
    gc.disable()
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        os.dup2(confine.CTL, 0)
        os.dup2(confine.CTL, 1)
        Template(ours, mode, pid).serve()
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    ours.close()
    if mode == "namespaces":
        linux.drop_capabilities()
    write_frame(1, encode({"python": version}))
    Server(mode, Nursery(theirs)).serve()
    os._exit(0)
