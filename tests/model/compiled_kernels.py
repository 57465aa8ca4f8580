"""Compile what the CUDA path launches for an H100 that need not be here:

    python -m tests.model.compiled_kernels [--default | --all | --count]

`--all`: every kernel of every model in tests.model.gpu_scenarios, a line for each (some minutes).
`--default`: those of the default model. `--count`: how many launches whole steps of the default model make,
nothing compiled. Without either, a few launches of each kernel that together have
every value of its flags; run by test_kernels_compile.py. Triton keeps what it compiles in TRITON_CACHE_DIR:
a machine with the same Triton, that variable and the folder at the same path compiles none of it again.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import triton
from torch.utils._python_dispatch import TorchDispatchMode
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

from model import graphs
from model.sampling import keep_top_p
from tests.model import gpu_scenarios
from tests.model.recorded_launches import Launch, every_kernel, recording

SHARED = 227 * 1024
"""Bytes of shared memory that a program may have on an H100."""


class H100:
    """What Triton asks of a driver before it compiles."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cuda")


def compiled(launch: Launch) -> Any:
    return launch.kernel.warmup(*launch.arguments, grid=launch.grid, **launch.options)


def usage(kernel: Any) -> dict[str, int]:
    """REG: registers a thread; STACK: bytes a thread that did not fit in them. Empty without cuobjdump."""
    program = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    if not program.exists():
        return {}
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        done = subprocess.run([program, "-res-usage", file.name], capture_output=True, text=True, check=True)
    return {name: int(count) for name, count in re.findall(r"(REG|STACK):(\d+)", done.stdout)}


def distinct(launches: Iterable[Launch]) -> list[Launch]:
    return list({launch.key: launch for launch in launches}.values())


def representative(launches: Iterable[Launch]) -> list[Launch]:
    """A few that have every kernel, every value of its flags, every count that may be 0 with and without, and
    every type of its arguments.
    """
    chosen, seen = [], set()
    for launch in launches:
        facts = {
            (launch.name, name, bool(value))
            for name, value in launch.options.items()
            if isinstance(value, int)
        }
        facts |= {(launch.name, at, getattr(x, "dtype", None)) for at, x in enumerate(launch.arguments)}
        if not facts <= seen:
            seen |= facts
            chosen.append(launch)
    return chosen


def reached(launches: Iterable[Launch]) -> set[str]:
    """Names of the kernels that are launched, and of the functions that these call."""
    found: dict[str, Any] = {launch.name: launch.kernel for launch in launches}
    functions = every_kernel()
    for name, function in functions.items():
        callers = (kernel for kernel in functions.values() if kernel is not function)
        if any(function.fn.__name__ in kernel.fn.__code__.co_names for kernel in callers):
            found[name] = function
    return set(found)


def check_guard() -> None:
    """What no CUDA graph survives is found by the recording."""
    with recording([]):
        x = torch.zeros(4, device="cuda")
        bodies: tuple[Callable[[], Any], ...] = (
            lambda: x.sum().item(),
            x.tolist,
            lambda: x[x > 0],
            lambda: torch.tensor([1.0], device="cuda") + x,
            lambda: x.copy_(torch.zeros(4)),
            x.cpu,
        )
        for index, body in enumerate(bodies):
            try:
                graphs.capture(body, x.device)
            except (AssertionError, RuntimeError):
                continue
            raise AssertionError(f"body {index} was taken for one that can be captured")


class _Sums(TorchDispatchMode):
    """Collects how many rows each running sum has."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.cumsum.default:
            self.rows.append(args[0].shape[0])
        return func(*args, **(kwargs or {}))


def check_top_p() -> None:
    """The running sum behind top-p never sees a row alone, which CUDA sums in an order that varies."""
    with recording([]):
        logits = torch.zeros(3, 500, device="cuda")
        with _Sums() as sums:
            for rows in (1, 3):
                assert keep_top_p(logits[:rows], 0.9).shape == (rows, 500)
    assert sums.rows == [2, 3], sums.rows


SCENARIOS = {"": gpu_scenarios.usual, "--default": gpu_scenarios.default, "--all": gpu_scenarios.everything}


def count() -> None:
    """Print what whole greedy steps of the default model do, in all and by name: launches of our kernels, and
    operations of torch, each of which is a launch or a few.
    """
    launches: list[Launch] = []
    work: list[str] = []
    with recording(launches, work):
        for name, make in gpu_scenarios.whole_steps():
            launches.clear()
            work.clear()
            make()
            for kind, names in (("launches", [launch.name for launch in launches]), ("torch", work)):
                print(f"{name}: {len(names)} {kind}:", *(f"{k} {n}" for k, n in Counter(names).most_common()))


def main() -> None:
    which = "".join(sys.argv[1:])
    if which == "--count":
        count()
        return
    check_guard()
    check_top_p()
    launches: list[Launch] = []
    with recording(launches):
        SCENARIOS[which]()
    missing = every_kernel().keys() - reached(launches)
    assert not missing or which == "--default", (
        f"no scenario of gpu_scenarios launches {', '.join(sorted(missing))}"
    )
    driver.set_active(H100())
    failed = []
    for launch in distinct(launches) if which else representative(launches):
        try:
            kernel = compiled(launch)
        except Exception as error:  # the next kernel may fail as well
            failed.append(f"{launch.key}: {type(error).__name__}: {str(error)[-600:]}")
            continue
        if kernel.metadata.shared > SHARED:
            failed.append(
                f"{launch.key}: {kernel.metadata.shared} bytes of shared memory, {SHARED} are there"
            )
        if which:
            print(launch.name, kernel.metadata.shared, usage(kernel), *launch.key[1:], flush=True)
    assert not failed, "\n".join(failed)
    print("all compiled")


if __name__ == "__main__":
    main()
