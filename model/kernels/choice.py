"""The best token of each row of logits and the rows' log-normalisers, in two launches.

    report_3T, ids_T = greedy(logits_TV)

A row is read in runs of `RUN` logits, one program each, whose maximum, place and sum another program puts
together in order: a row's figures have the same bits however many rows there are. Of equal logits the lowest
id wins, as with torch.argmax. A NaN anywhere in a row makes its norm NaN.
"""

# Kernels are Triton's language, not Python's: their parameters have no types that mypy knows.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import torch
import triton
import triton.language as tl

from model.kernels.launch import pdl

RUN = 4096


@triton.jit
def _run(logits, best, place, mass, V, runs, RUN: tl.constexpr, PDL: tl.constexpr):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    run, row = tl.program_id(0), tl.program_id(1)
    v = run * RUN + tl.arange(0, RUN)
    x = tl.load(logits + row.to(tl.int64) * V + v, mask=v < V, other=float("-inf")).to(tl.float32)
    top, at = tl.max(x, 0, return_indices=True)
    safe = tl.where(top == float("-inf"), 0.0, top)
    index = row * runs + run
    tl.store(best + index, top)
    tl.store(place + index, run * RUN + at)
    tl.store(mass + index, tl.sum(tl.exp(x - safe)))


@triton.jit
def _row(best, place, mass, ids, report, T, runs, WIDE: tl.constexpr, PDL: tl.constexpr):
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0)
    run = tl.arange(0, WIDE)
    inside = run < runs
    top = tl.load(best + row * runs + run, mask=inside, other=float("-inf"))
    at = tl.load(place + row * runs + run, mask=inside, other=0)
    total = tl.load(mass + row * runs + run, mask=inside, other=0.0)
    peak, first = tl.max(top, 0, return_indices=True)
    safe = tl.where(peak == float("-inf"), 0.0, peak)
    found = tl.sum(tl.where(run == first, at, 0))
    norm = safe + tl.log(tl.sum(total * tl.exp(top - safe)))
    tl.store(ids + row, found.to(tl.int64))
    tl.store(report + row, found.to(tl.float32))
    tl.store(report + T + row, peak - norm)
    tl.store(report + 2 * T + row, norm)


def greedy(logits_TV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(report float32 [3, T], ids int64 [T]) of contiguous logits. Rows of the report: the best id (exact:
    vocabularies are smaller than 2^24), its log probability, the row's log-normaliser: log p(any id) =
    its logit - that.
    """
    T, V = logits_TV.shape
    device, flag = logits_TV.device, logits_TV.is_cuda
    runs = triton.cdiv(V, RUN)
    best = torch.empty(T * runs, dtype=torch.float32, device=device)
    place = torch.empty(T * runs, dtype=torch.int32, device=device)
    mass = torch.empty_like(best)
    ids = torch.empty(T, dtype=torch.int64, device=device)
    report = torch.empty(3, T, dtype=torch.float32, device=device)
    _run[(runs, T)](
        logits_TV, best, place, mass, V, runs, RUN=RUN, PDL=flag, num_warps=4, **pdl(logits_TV)
    )  # fmt: skip
    _row[(T,)](
        best, place, mass, ids, report, T, runs, WIDE=triton.next_power_of_2(runs), PDL=flag, num_warps=1,
        **pdl(logits_TV),
    )  # fmt: skip
    return report, ids


def log_p(logits_TV: torch.Tensor, ids_T: torch.Tensor, norm_T: torch.Tensor) -> torch.Tensor:
    """log p [T] of any ids, from the normalisers of a report."""
    return logits_TV.gather(-1, ids_T[:, None])[:, 0].float() - norm_T
