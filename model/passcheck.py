"""Checks of passes for `model selfcheck`: rows at every width, mixed roles, a cache filled in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from model.base import MLP
from model.judge import choose
from model.projection import Projection
from model.request import GenerateRequest
from model.roles import Role, whole
from model.runner import Part, Runner

if TYPE_CHECKING:
    from model.cuda import CudaRunner

CUDA_WIDTHS = (1, 2, 5, 8, 16, 17, 31, 32, 33, 47, 48, 64, 100, 128, 200, 256, 512)
CPU_WIDTHS = (1, 2, 5, 8, 17, 33, 64)
HISTORY = 40
# CLEAN tokens of a pass, and (point, width) of the blocks behind them.
MIXED = (
    (1, ((0, 16),)),
    (5, ((0, 9), (2, 9), (4, 9))),
    (17, ((0, 16), (8, 16), (16, 16))),
    (32, ((0, 32), (31, 32))),
)
PIECES = (1, 7, 32)
Map = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Found:
    """passed None: the check does not apply here, and `detail` says why."""

    passed: bool | None
    detail: str


@torch.inference_mode()
def rows_at_every_width(runner: Runner) -> Found:
    """A row of the first layer's projections, and of the output head, has the same bits at every width."""
    maps, widths = _maps(runner)
    generator, parted = torch.Generator().manual_seed(0), []
    for name, (features, apply) in maps.items():
        x_TK = torch.randn(max(widths), features, generator=generator).to(runner.device, runner.base.dtype)
        widest_TN = apply(x_TK)
        for width in widths:
            if not torch.equal(apply(x_TK[:width]), widest_TN[:width]):
                parted.append(f"{name} at {width}")
    if parted:
        more = f" and {len(parted) - 5} more" if len(parted) > 5 else ""
        return Found(False, f"other bits than at width {max(widths)}: {', '.join(parted[:5])}{more}")
    return Found(True, f"{len(maps)} matrices ({', '.join(maps)}), {len(widths)} widths to {max(widths)}")


def _maps(runner: Runner) -> tuple[dict[str, tuple[int, Map]], tuple[int, ...]]:
    """{name: (input width, x [T, in] -> y [T, out])} as this runner computes them, for the base and with
    each head; the widths to compare.
    """
    fast: CudaRunner | None = None
    if runner.device.type == "cuda":
        from model.cuda import CudaRunner

        fast = runner if isinstance(runner, CudaRunner) else None
    layer = runner.base.layers[0]
    projections = {"qkv": layer.qkv, "o": layer.o}
    if isinstance(layer.mlp, MLP):
        projections |= {"gate_up": layer.mlp.gate_up, "down": layer.mlp.down}
    maps: dict[str, tuple[int, Map]] = {}
    for head in (None, *sorted(set(runner.head_of.values()))):
        for name, projection in projections.items():
            apply = _module(projection, head) if fast is None else _kernel(fast, projection, name, head)
            maps[name if head is None else f"{name}+{head}"] = projection.features_in, apply
    maps["output head"] = runner.base.config.hidden, runner.logits
    return maps, CPU_WIDTHS if fast is None else CUDA_WIDTHS


def _module(projection: Projection, head: str | None) -> Map:
    return lambda x_TK: projection(x_TK[None], whole(head))[0]


def _kernel(runner: CudaRunner, projection: Projection, name: str, head: str | None) -> Map:
    """`model.kernels.linear.linear` with the epilogue of this projection, as the runner calls it; of those
    that go on into the residual stream the norm of that too.
    """
    from model.cuda_matrix import Matrix

    base, space = runner.base, runner.space
    matrix, config = Matrix.of(projection, base.dtype), base.config
    norm = base.layers[0].post_norm.weight, config.eps
    old_D = torch.linspace(-1, 1, config.hidden, device=base.device).to(base.dtype)

    def apply(x_TK: torch.Tensor) -> torch.Tensor:
        T = x_TK.shape[0]
        route = [] if head is None else [(0, T, head)]
        if name in ("o", "down"):
            return torch.cat(matrix.onward(x_TK, space, route, old_D.repeat(T, 1), norm), 1)
        return matrix(x_TK, space, route, gated=name == "gate_up")

    return apply


def mixed_passes(runner: Runner, reference: Runner, ids: Sequence[int], limit: float) -> Found:
    """CLEAN, DRAFT and LENGTH rows of one pass beside those of a reference: |ours - theirs| / |theirs| of the
    final states, the mean over all rows of a role (one row alone varies several times as much).
    """
    errors: dict[Role, list[torch.Tensor]] = {role: [] for role in Role}
    for clean, blocks in MIXED:
        ours, roles = _mixed_pass(runner, ids, clean, blocks)
        theirs, _ = _mixed_pass(reference, ids, clean, blocks)
        error_T = (ours - theirs).norm(dim=-1) / theirs.norm(dim=-1)
        for role, found in errors.items():
            found.append(error_T[roles == role])
    means = {role: float(torch.cat(found).mean()) for role, found in errors.items()}
    tops = {role: float(torch.cat(found).max()) for role, found in errors.items()}
    shown = ", ".join(f"{role.name} {means[role]:.2g} (to {tops[role]:.2g})" for role in Role)
    # NaN is not <= either.
    passed = all(error <= limit for error in means.values())
    return Found(passed, f"relative error {shown}; limit {limit:g}, {len(MIXED)} passes")


def _mixed_pass(
    runner: Runner, ids: Sequence[int], clean: int, blocks: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Final states [T, D] in float32 on the CPU, and the role [T] of each."""
    cache = runner.cache(len(ids))
    runner.prefill(cache, ids[:HISTORY])
    line = ids[HISTORY : HISTORY + clean]
    parts: list[Part] = [runner.clean(line, HISTORY)]
    for number, (point, width) in enumerate(blocks, 1):
        shown, masked = [line[point]] + [0] * (width - 1), [False] + [True] * (width - 1)
        parts.append(runner.block(shown, masked, HISTORY + point, number))
    parts.append(runner.length_query(ids[: HISTORY + clean]))
    states_TD = runner.run(cache, parts).float().cpu()
    return states_TD, torch.cat([part.tokens.role[0] for part in parts]).cpu()


def cache_in_pieces(runner: Runner, ids: Sequence[int]) -> Found:
    """A cache filled in pieces holds the bits of one filled at once, and the next token follows from it."""
    token, log, whole_cache = _filled(runner, ids, len(ids))
    parted = []
    for size in PIECES:
        other, other_log, kept = _filled(runner, ids, size)
        if (other, other_log) != (token, log):
            parted.append(f"pieces of {size} give token {other} ({other_log:.6f}), not {token} ({log:.6f})")
        elif not torch.equal(kept, whole_cache):
            parted.append(f"pieces of {size} leave other keys or values")
    if parted:
        return Found(False, "; ".join(parted))
    return Found(True, f"{len(ids)} tokens in pieces of {', '.join(map(str, PIECES))}")


def _filled(runner: Runner, ids: Sequence[int], size: int) -> tuple[int, float, torch.Tensor]:
    """The next greedy token, its log probability, and the keys and values of a cache filled `size` at a
    time.
    """
    cache, known = runner.cache(len(ids)), len(ids) - 1
    for at in range(0, known, size):
        runner.prefill(cache, ids[at : min(at + size, known)])
    states = runner.run(cache, [runner.clean(ids[-1:], known)])
    (token,), (log,), _ = choose(runner.logits(states), known + 1, GenerateRequest())
    kept = torch.stack((cache.keys[:, 0, :, :known], cache.values[:, 0, :, :known]))
    return token, log, kept
