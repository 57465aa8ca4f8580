"""Drift on a GPU: few shapes, and the figures of a CPU's dense attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.finetune import drift as module
from model.data.samples import Sample, Samples
from model.train import acceptance, load
from tests.model.tiny_engines import make_engine
from tests.model.train.compiled_shapes import CompiledShapes


def probe() -> Samples:
    """Of widths that padding each by itself would make three of."""
    rng = np.random.default_rng(1)
    return Samples(
        [
            Sample(rng.integers(0, 250, size).astype(np.int32), rng.integers(0, 250, 5).astype(np.int32))
            for size in (20, 40, 70, 4, 10, 31, 30, 28, 29)
        ]
    )


def test_a_gpu_compiles_two_passes_and_measures_what_a_cpu_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(tmp_path)
    base, heads = str(engine.folder), engine.weights._heads_folder
    assert heads is not None
    monkeypatch.setattr(module, "CPU_PROBES", 99)
    dense = module.drift(base, None, heads, probe())
    shapes = CompiledShapes(monkeypatch)
    real = load.load_forward

    def on_gpu(*args: Any) -> Any:
        forward = real(*args)
        forward.flex = True
        return forward

    monkeypatch.setattr(load, "load_forward", on_gpu)
    monkeypatch.setattr(acceptance, "DRAFT_TOKENS", 64)  # the whole score matrix is made here
    monkeypatch.setattr(module, "_WIDTHS", 32)
    found = module.drift(base, None, heads, probe())
    found |= {"again": module.drift(base, heads, heads, probe())}
    assert dense["kl"] > 0.1
    assert found["again"]["kl"] == 0.0
    assert found["kl"] == pytest.approx(dense["kl"], abs=1e-4)
    assert found["new_tokens_per_forward"] == dense["new_tokens_per_forward"]
    assert (len(shapes.masks), len(shapes.passes)) == (2, 2)
