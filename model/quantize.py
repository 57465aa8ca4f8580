"""Writes a model folder as an FP8 checkpoint in the format of the Qwen3 FP8 releases, and measures what that
costs.

The loss is the perplexity on text of this repository (the sources of the `model` package) with the weights
as they are, with quantised weights, and with activations quantised too, as a GPU with FP8 units computes.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model import fp8, store
from model.errors import WeightsError
from model.tensorfile import Spec, write_shards

_WINDOW = 512


def quantise_folder(
    source: Path, target: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Write `source` as FP8 into the new folder `target`. Memory stays at one tensor.

    Raises WeightsError when `target` holds something, `source` is quantised already or has no safetensors;
    OSError when the disk is full (then `target` is not made).
    """
    from model.checkpoint import Tensors

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WeightsError(f"{target} exists; give a new folder")
    store.check_folder(source)
    if fp8.is_fp8(source):
        raise WeightsError(f"{source} is an FP8 checkpoint already")
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tensors = Tensors(source)
    specs = list(_specs(tensors))
    config["quantization_config"] = fp8.quantization_config([spec.name for spec in specs])
    total, done = sum(spec.nbytes for spec in specs), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    with store.replacing(target.resolve()) as folder:
        for file in source.iterdir():
            if (
                file.is_file()
                and file.suffix in (".json", ".jinja", ".txt")
                and "safetensors" not in file.name
            ):
                shutil.copy2(file, folder / file.name)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        hashes = write_shards(folder, specs, _Quantised(tensors).produce, advance)
        record = store.record(source)
        made = {
            "name": target.name,
            "source": {"folder": source.name, "sha256": record.get("tensors_sha256", "")},
            "tensors_sha256": store.combined_sha256(hashes),
            "tokenizer_sha256": record.get("tokenizer_sha256", ""),
        }
        store.write_record(folder, made)
    return target


def _specs(tensors: Any) -> Iterator[Spec]:
    for name in tensors.names():
        shape = tensors.shape(name)
        if fp8.quantised_parts(name):
            rows, columns = shape
            yield Spec(name, "F8_E4M3", shape)
            blocks = (math.ceil(rows / fp8.BLOCK), math.ceil(columns / fp8.BLOCK))
            yield Spec(name + "_scale_inv", "BF16", blocks)
        else:
            yield Spec(name, "BF16", shape)


class _Quantised:
    """Gives each tensor of an FP8 checkpoint from an unquantised one; a weight's scales follow it."""

    def __init__(self, tensors: Any) -> None:
        self._tensors = tensors
        self._scale: Any = None

    def produce(self, spec: Spec) -> Iterator[Any]:
        import torch

        if spec.name.endswith("_scale_inv"):
            yield self._scale
        elif spec.dtype == "F8_E4M3":
            weight, self._scale = fp8.quantise(self._tensors.get(spec.name))
            yield weight
        else:
            yield self._tensors.get(spec.name).to(torch.bfloat16)


@dataclass(frozen=True, slots=True)
class Loss:
    """Perplexities over `tokens` tokens: of the base, with FP8 weights, with FP8 weights and activations."""

    tokens: int
    base: float
    weights: float
    both: float


def measure(
    source: Path,
    quantised: Path,
    *,
    tokens: int = 2048,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Loss:
    """The perplexity of a model and of its FP8 form, in float32 arithmetic on the same text."""
    import torch

    from model.base import Base
    from model.tokenizer import Tokenizer

    ids = Tokenizer(source).encode(corpus())[:tokens]
    total = 3 * len(ids)

    def advance(before: int) -> Callable[[int], None]:
        return lambda done: progress(before + done, total)

    plain = perplexity(Base.load(source, dtype=torch.float32, device=device), ids, advance(0))
    coarse = Base.load(quantised, dtype=torch.float32, device=device, fp8=False)
    weights = perplexity(coarse, ids, advance(len(ids)))
    for _, _, projection in coarse.projections():
        projection.register_forward_pre_hook(lambda _, args: (fp8.through_fp8(args[0]), *args[1:]))
    both = perplexity(coarse, ids, advance(2 * len(ids)))
    return Loss(len(ids), plain, weights, both)


def corpus() -> str:
    """The sources of the `model` package, in the order of their names."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))


def perplexity(base: Any, ids: list[int], progress: Callable[[int], None] = lambda done: None) -> float:
    """exp of the mean negative log-likelihood of each token after the first of its window of 512."""
    import torch
    from torch.nn import functional as F

    loss, count = 0.0, 0
    with torch.inference_mode():
        for first in range(0, len(ids) - 1, _WINDOW):
            window = torch.tensor([ids[first : first + _WINDOW]], device=base.device)
            positions_BT = torch.arange(window.shape[1], device=base.device)[None]
            h_BTD = base(base.embed(window), positions_BT, Causal())
            logits_TV = base.logits(h_BTD)[0, :-1].float()
            loss += float(F.cross_entropy(logits_TV, window[0, 1:], reduction="sum"))
            count += window.shape[1] - 1
            progress(min(first + _WINDOW, len(ids)))
    return math.exp(loss / count)


class Causal:
    """Plain causal attention over one window, no cache."""

    def layer(self, index: int) -> Any:
        from torch.nn import functional as F

        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
