"""What this device is good at, measured once and cached in the data folder (calibration/*.json).

`width_curve`: ms of a pass against its width; the planner of drafts and `auto` live on it.
`step_times`: ms of whole steps on a GPU, where the planner chooses among a few shapes instead.
`cpu_precision`: bf16, fp32 or mixed weights. CPUs with bf16 units are fastest in bf16 throughout; those
without are fast at bf16 matrix-vector products (half the bytes) and slow at bf16 matrix-matrix products.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from model import store
from model.packed import Packed, supported
from model.plan import UNMEASURED, Curve
from model.sampling import Kind
from model.shapes import PLAIN, SHAPES, Shape, Times
from model.shapes import UNMEASURED as UNMEASURED_STEPS
from model.wholefile import write_whole

if TYPE_CHECKING:
    from model.kvcache import KVCache
    from model.request import GenerateRequest
    from model.runner import Runner
    from model.steps import WholeSteps

Precision = Literal["bf16", "fp32", "mixed"]
"""Of weights and cache; `mixed` keeps the weights in both."""
T = TypeVar("T")
_LOG = logging.getLogger("model")
FORMAT = 2
# Below this many parameters a calibration costs more than it saves.
_SMALL = 50_000_000


def fingerprint(device: torch.device) -> str:
    """What a measurement depends on: the chip, its threads, torch."""
    if device.type == "cuda":
        chip = torch.cuda.get_device_name(device)
    else:
        chip = f"{_cpu_name()} {torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()} threads"
    return f"{chip}, torch {torch.__version__}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    wanted = ("model name", "cpu family", "model\t")
    return " ".join(line.partition(":")[2].strip() for line in lines[:10] if line.startswith(wanted))


def cached(key: str, measure: Callable[[], Any]) -> Any:
    """The stored result of `key`, else that of `measure`, stored. A cache that cannot be written is no
    error.
    """
    path = store.home() / "calibration" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    try:
        found = json.loads(path.read_text())
        if found.get("format") == FORMAT and found.get("key") == key:
            return found["result"]
    except (OSError, ValueError, AttributeError):
        pass
    result = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"format": FORMAT, "key": key, "result": result}, indent=1) + "\n")
    except OSError:
        pass
    return result


def median_ms(run: Callable[[], Any], repeats: int = 7) -> float:
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return sorted(times)[repeats // 2] * 1e3


def cpu_precision(folder: Path) -> Precision:
    """The precision this CPU decodes fastest in; fp32 for small models, where it makes no difference."""
    size = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
    if size < 2 * _SMALL:
        return "fp32"
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return "bf16"
    result: Precision = cached(f"precision of {fingerprint(torch.device('cpu'))}", _measure_precision)
    return result


def _through(weights: Sequence[Packed], x: torch.Tensor) -> None:
    for weight in weights:
        weight(x)


def _measure_precision() -> Precision:
    if not supported():
        return "fp32"
    speed: dict[tuple[str, int], float] = {}
    # Together larger than the caches, as a model's weights are.
    shapes = [(9728, 896)] * 8
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        weights = [Packed(torch.randn(shape).to(dtype)) for shape in shapes]
        for rows in (1, 32):
            x = torch.randn(rows, 896).to(dtype)
            speed[name, rows] = median_ms(partial(_through, weights, x))
    if speed["bf16", 1] >= speed["fp32", 1]:
        return "fp32"
    return "bf16" if speed["bf16", 32] <= speed["fp32", 32] else "mixed"


WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXT = 256
Pass = Callable[["KVCache", int], None]
"""One pass of a given width behind CONTEXT cached tokens."""


def _stored(
    runner: Runner, name: str, one: Callable[[KVCache, T], None], each: Sequence[T], repeats: int, fresh: bool
) -> list[float]:
    """Median ms of `one` of each, behind CONTEXT cached tokens, kept under `name` and all that it depends
    on. Overwrites the one cache that a GPU's graphs know. fresh: measure now, whatever is stored."""
    base = runner.base

    def measure() -> list[float]:
        if base.device.type == "cpu" and not fresh:
            _LOG.warning(
                "measuring once how fast this machine is with this model (half a minute on two cores)"
            )
        cache = runner.cache(CONTEXT)
        runner.prefill(cache, [0] * CONTEXT)
        return [median_ms(partial(one, cache, what), repeats) for what in each]

    key = f"{name} of {base.config} {base.dtype} on {fingerprint(base.device)}"
    return measure() if fresh else cached(key, measure)


def curve(runner: Runner, name: str, widths: tuple[int, ...], one: Pass, *, fresh: bool = False) -> Curve:
    """ms of `one` pass against its width, stored under `name`; small models are not measured. Overwrites the
    one cache that a GPU's graphs know.

    fresh: measure now, whatever is stored.
    """
    if runner.base.embedding.numel() < _SMALL:
        return UNMEASURED
    return Curve(widths, tuple(_stored(runner, name, one, widths, 5, fresh)))


def step_times(steps: WholeSteps, request: GenerateRequest, *, fresh: bool = False) -> Times:
    """ms of a whole step of each shape, PLAIN among them, for requests of this kind (greedy, sampled, with
    top-p); stored like `curve`, and as careless of the cache.

    Captures what it measures, so the first call on a machine takes seconds.
    """
    runner, shapes = steps.runner, (PLAIN, *SHAPES)
    if runner.base.embedding.numel() < _SMALL:
        return UNMEASURED_STEPS
    heads = "" if runner.heads is None else runner.heads.sha256[:12]
    name = f"steps {Kind.of(request)} {shapes} heads {heads}"

    def one(cache: KVCache, shape: Shape) -> None:
        steps.trial(request, shape, CONTEXT)

    return dict(zip(shapes, _stored(runner, name, one, shapes, 15, fresh), strict=True))


def width_curve(runner: Runner, *, fresh: bool = False) -> Curve:
    """ms of a pass of 1 to 256 tokens with its output heads."""
    heads = "" if runner.heads is None else f" heads {runner.heads.sha256[:12]}"
    return curve(runner, f"width{heads}", WIDTHS, partial(_pass, runner), fresh=fresh)


def _pass(runner: Runner, cache: KVCache, width: int) -> None:
    """One CLEAN token and width - 1 of a draft block, as in a verified pass."""
    parts = [runner.clean([0], CONTEXT)]
    if width > 1:
        parts.append(runner.block([0] * (width - 1), [True] * (width - 1), CONTEXT, 1))
    states = runner.run(cache, parts)
    runner.logits(states[:1]).argmax(-1).tolist()
    if width > 1:
        runner.draft_vocab(runner.base.config.vocab).logits(states[1:]).argmax(-1).tolist()
