"""What the CUDA path does with a model: every captured step and pass, for tests.model.recorded_launches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import torch

from model import sampling
from model.base import Base, BaseConfig
from model.bench_rows.forward import decoding_pass
from model.checkpoint import Tensors
from model.cuda import CudaRunner, supported
from model.cuda_lanes import _PROMPT_SIZES, CudaLanes, _PromptPass
from model.cuda_pass import GraphPass, Layout
from model.draftparts import DraftParts
from model.fused import ArStep, VerifiedStep
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.judge import Judge
from model.quantised import keep_fp8
from model.sampling import Kind
from model.shapes import SHAPES, Shape

CONFIGS = Path(__file__).parents[2] / "configs"
KINDS = (Kind(), Kind(warm=True), Kind(warm=True, cut=True))
WIDE = Shape(15, 16)
LAYOUTS: tuple[Layout, ...] = (
    (1, 0, 0),
    (24, 0, 0),
    (256, 0, 0),
    (1, 16, 1),
    (16, 32, 0),
    (0, 32, 0),
    (32, 320, 1),
)

# One layer of each: the others launch the same.
QWEN25_05B = BaseConfig("qwen2", 151_936, 896, 1, 14, 2, 64, 4864, 1e-6, True, 1e6, 32_768)
QWEN25_7B = BaseConfig("qwen2", 152_064, 3584, 1, 28, 4, 128, 18_944, 1e-6, False, 1e6, 32_768)
QWEN3_8B = BaseConfig("qwen3", 151_936, 4096, 1, 32, 8, 128, 12_288, 1e-6, False, 1e6, 40_960)
QWEN3_30B_A3B = BaseConfig(
    "qwen3_moe", 151_936, 2048, 1, 32, 4, 128, 6144, 1e-6, False, 1e7, 40_960,
    experts=128, experts_per_token=8, expert_intermediate=768,
)  # fmt: skip
TINY = BaseConfig("qwen2", 320, 64, 1, 4, 2, 16, 128, 1e-6, True, 1e4, 512)


class _Everything:
    def in_fp8(self, names: list[str]) -> bool:
        return True


def make_runner(config: BaseConfig, *, fp8: bool = False, heads: str = "") -> CudaRunner:
    """A runner in bfloat16 whose weights hold nothing. heads: a file of configs/."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            base = Base(config).eval()
            if fp8:
                keep_fp8(base, cast("Tensors", _Everything()))
    finally:
        torch.set_default_dtype(default)
    base.to("cuda")
    assert supported(base)
    free_row = config.vocab - 200
    mounted = HeadSet.create(base, HeadsConfig.read(CONFIGS / heads), free_row) if heads else None
    return CudaRunner(base, mounted)


def decode(runner: CudaRunner, shapes: tuple[Shape, ...] = (*SHAPES, WIDE)) -> None:
    """Whole steps of `ar` and `verified`: greedy, sampled, with top-p."""
    for kind in KINDS:
        ArStep(runner, kind, 512)
    if runner.heads is None:
        return
    limit = runner.base.config.vocab - 200
    whole, some = DraftParts(runner, limit), _trained(DraftParts(runner, limit))
    for kind in KINDS:
        for shape in shapes:
            VerifiedStep(runner, shape, some, kind, 1024).hang(range(shape.blocks))
            VerifiedStep(runner, shape, some, kind, 1024, Judge(window=3))
    VerifiedStep(runner, SHAPES[0], whole, KINDS[0], 33_000)


def whole_steps() -> Iterator[tuple[str, Callable[[], object]]]:
    """(name, make it) of greedy whole steps of all layers of the default model."""
    config = dataclasses.replace(QWEN25_05B, layers=24)
    runner = make_runner(config, heads="heads-default.yaml")
    parts = _trained(DraftParts(runner, config.vocab - 200))
    yield "ar", lambda: ArStep(runner, KINDS[0], 512)
    for shape in (Shape(15, 7), Shape(13, 6, 3), Shape(23, 2, 4)):
        name = f"{shape} (width {shape.width})"
        yield name, partial(VerifiedStep, runner, shape, parts, KINDS[0], 1024)


def _trained(parts: DraftParts) -> DraftParts:
    """As of trained heads, which draft from a part of the vocabulary."""
    parts.vocab = torch.arange(min(len(parts.vocab), 32_000), device="cuda")
    parts.rows, parts.of_candidate, parts.view = (
        table[: len(parts.vocab)] for table in (parts.rows, parts.of_candidate, parts.view)
    )
    return parts


def read(runner: CudaRunner) -> None:
    """Prompts, passes of mixed roles, logits of some rows, the pass that is timed."""
    for layout in LAYOUTS:
        states = GraphPass(runner, layout, 1024).replay()
        logits = runner.logits(states)
        sampling.logprob(logits, logits.argmax(-1))
    decoding_pass(runner, 8, 256)()


def answer(runner: CudaRunner) -> None:
    """Rows that decode together."""
    lanes = CudaLanes(runner, 512, 900)
    for width in (1, 2, 8, 24, 64, 256, 512):
        lanes._captured(width, 1024, False, False)
    lanes._captured(64, 512, True, False)
    lanes._captured(64, 512, True, True)
    for size in _PROMPT_SIZES:
        _PromptPass(lanes, size, lanes._tile)


def plain(dtype: torch.dtype) -> None:
    """What bases that the kernels do not cover use of them: choice and noise."""
    logits = torch.empty(4, 151_936, dtype=dtype, device="cuda")
    positions = torch.arange(4, device="cuda")
    ids = sampling.scores(logits, positions, temperature=0.7, top_p=0.9, seed=3).argmax(-1)
    sampling.logprob(logits, ids)
    seeds = torch.arange(4, device="cuda")
    sampling.gumbel(seeds, positions, torch.arange(151_936, device="cuda"))


def default() -> None:
    """All of the default model with its heads: what a machine that measures it compiles."""
    runner = make_runner(QWEN25_05B, heads="heads-default.yaml")
    decode(runner)
    read(runner)
    answer(runner)
    plain(torch.float32)
    plain(torch.bfloat16)


def usual() -> None:
    """One of each for the default model, and a mixture of experts in FP8."""
    runner = make_runner(QWEN25_05B, heads="heads-default.yaml")
    decode(runner, (SHAPES[0], next(shape for shape in SHAPES if shape.siblings)))
    read(runner)
    answer(runner)
    read(make_runner(QWEN3_30B_A3B, fp8=True))
    plain(torch.float32)


def everything() -> None:
    """Every family, with and without heads and FP8."""
    usual()
    default()
    cases: tuple[Callable[[], CudaRunner], ...] = (
        lambda: make_runner(QWEN25_05B),
        lambda: make_runner(QWEN25_05B, heads="heads-mlp.yaml"),
        lambda: make_runner(QWEN25_05B, fp8=True, heads="heads-default.yaml"),
        lambda: make_runner(QWEN25_7B, heads="heads-default.yaml"),
        lambda: make_runner(QWEN3_8B, fp8=True, heads="heads-mlp.yaml"),
        lambda: make_runner(QWEN3_30B_A3B, fp8=True, heads="heads-default.yaml"),
        lambda: make_runner(TINY, heads="heads-default.yaml"),
    )
    for case in cases:
        runner = case()
        decode(runner)
        read(runner)
        answer(runner)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        plain(dtype)
