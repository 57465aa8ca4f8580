"""Run by test_kernels.py under TRITON_INTERPRET=1: python interpreted_token.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from model.base import Base
from model.cuda import CudaRunner
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.kernels.linear import Workspace, linear
from model.kernels.pointwise import rms_norm
from model.kernels.runs import SPAN
from model.tiny import tiny_folder
from tests.model.tiny_heads import MASK_ID, small_config


def check_linear_and_norm() -> None:
    """The norm of an output in the launch that sums its slices, or behind it: the same bits."""
    space = Workspace(torch.device("cpu"))
    for N, K in ((192, 896), (128, 64)):
        weight, gain = torch.randn(N, K) * 0.05, torch.rand(N) + 0.5
        x, old = torch.randn(60, K), torch.randn(60, N)
        apart, normed = linear(x, weight, space, residual=old), torch.empty(60, N)
        rms_norm(apart, gain, 1e-6, normed)
        for T in (1, 5, 20, 60):
            behind = torch.full((T, N), torch.nan)
            y = linear(x[:T], weight, space, residual=old[:T], after=(gain, 1e-6, behind))
            assert torch.equal(y, apart[:T])
            assert torch.equal(behind, normed[:T])


def check_token(folder: Path) -> None:
    """A token through kernels of its own has the states, keys and values that it has in wider passes: with a
    bias, weights cut into several slices, attention over several runs. To the last bits, which the
    interpreter's matmuls round by their size; on a GPU `model selfcheck` compares these.
    """
    sizes = {"layers": 2, "hidden": 512, "heads": 8, "kv_heads": 2, "intermediate": 384, "context": 600}
    base = Base.load(tiny_folder(folder / "token", **sizes))
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.05 if parameter.dim() > 1 else 1.0))
    fast = CudaRunner(
        base, HeadSet.create(base, HeadsConfig.parse(small_config().as_dict(), "test"), MASK_ID)
    )
    assert fast._one is not None
    assert min(fast._one._qkv.slices, fast._one._down.slices) > 1
    ids = torch.randint(0, 256, (2 * SPAN + 20,)).tolist()
    cache = fast.cache(400)
    fast.prefill(cache, ids)
    known = len(ids) - 10
    kept = fast.kv.keys.clone(), fast.kv.values.clone()
    for after in (1, 9, 20):
        cache.length[0] = known
        wide = fast.run(cache, [fast.clean((ids[known:] * 2)[:after], known)])
        cache.length[0] = known
        alone = fast.run(cache, [fast.clean(ids[known : known + 1], known)])
        torch.testing.assert_close(alone, wide[:1], rtol=1e-5, atol=1e-5)
    for side, before in zip((fast.kv.keys, fast.kv.values), kept, strict=True):
        here, there = side[..., : known + 1, :], before[..., : known + 1, :]
        torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-5)


torch.manual_seed(0)
check_linear_and_norm()
check_token(Path(sys.argv[1]))
print("all equal")
