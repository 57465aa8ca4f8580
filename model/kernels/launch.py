"""Programmatic dependent launch: a kernel is set up while its predecessor still runs, and waits for it in
the kernel.

Every kernel here starts with `gdc_launch_dependents` and touches what other kernels of the graph write only
behind `gdc_wait`, that is when all before it have finished. In a graph of 200 small kernels this hides about
a microsecond for each. Before it waits a kernel may read what is older than the graph's last full stop:
weights, tables, the cached keys of earlier passes, the fields of the tokens. A full stop is a launch of torch
or a kernel that does not let its dependents start early (settle._lay), and so is the start of the graph.
"""

from __future__ import annotations

import torch


def rounding(x: torch.Tensor) -> dict[str, bool]:
    """Launch option for kernels on this tensor's device (the interpreter has none): products are rounded
    before they are added. Left to itself the compiler fuses them in one kernel and not in another, and a
    rotated key then has other bits in the kernel for one token than in that for many. `tl.fma` stays one.
    """
    return {"enable_fp_fusion": False} if x.is_cuda else {}


def pdl(x: torch.Tensor) -> dict[str, bool]:
    """Launch options for kernels that wait as is said above; with `rounding`."""
    return {"launch_pdl": True, **rounding(x)} if x.is_cuda else {}
