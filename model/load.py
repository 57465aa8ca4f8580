"""`load(name)`: any model by name, behind one interface.

Names: a named model (`qwen2.5-coder-0.5b`, ...), `default` (the largest named model that is here and fits),
`tiny`, `scripted:FILE`, a model folder, a `.gguf` file, `openai:URL#model`, `vllm:NAME`, `transformers:NAME`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from model import store
from model.errors import RequestError, WeightsError
from model.names import DEFAULT, DEFAULT_LARGE_GPU, NAMED

if TYPE_CHECKING:
    from model.calibrate import Precision
    from model.request import Model

_LOG = logging.getLogger("model")

# In the data folder's heads/<base>: which version is in use (agent.headstore writes it), 0 the shipped one.
HEADS_POINTER = "current.json"

# The 30B in FP8 is 31 GB; 40 GB leave room for its cache.
_LARGE_GPU_BYTES = 39 * 1024**3


def load(name: str, *, device: str = "auto", heads: str | None = None, context: int | None = None) -> Model:
    """Load a model for generation.

    device: `auto`, `cpu`, `cuda`, `cuda:1`. heads: a folder of trained heads (with `heads.json`), `none` for
    the bare base, None for those that were promoted or shipped for this base. context: tokens, to shorten
    the model's own or, on bases that allow it, to stretch it (YaRN).

    Raises NotPulledError, WeightsError, RequestError (a context or device the model cannot serve).
    """
    if context is not None and context < 1:
        raise RequestError(f"a context of {context} tokens is impossible; give a positive number")
    kind, _, rest = name.partition(":")
    if kind == "scripted" and rest:
        from model.scripted import ScriptedModel

        return ScriptedModel.from_file(Path(rest).expanduser(), context=context)
    if kind == "openai" and rest:
        from model.backends.openai import OpenAIModel

        return OpenAIModel.from_name(rest, context=context)
    if kind == "transformers" and rest:
        from model.backends.transformers import TransformersModel

        return TransformersModel(rest, folder=store.resolve(rest), device=device, context=context)
    if kind == "vllm" and rest:
        from model.backends.vllm import VLLMModel

        return VLLMModel(rest, folder=store.resolve(rest), device=device, context=context)
    if name == "default":
        name = default_name(device)
    folder = store.resolve(name)
    check_fp8(folder, device)
    from model.engine import Engine

    public = name if name in NAMED or name.startswith("tiny") else folder.name
    return Engine(folder, name=public, device=device, heads=heads_folder(folder, heads), context=context)


# Bytes a parameter takes once it is dequantised; `mixed` keeps it in both.
_DEQUANTISED = {"bf16": 2, "fp32": 4, "mixed": 6}


def check_fp8(folder: Path, device: str, precision: Precision | None = None) -> None:
    """Before an FP8 checkpoint is loaded where FP8 is not computed with: say what dequantising takes, or
    refuse. precision: of the weights (None: what the engine would choose).

    Raises WeightsError when the memory is not there.
    """
    import psutil
    import torch

    from model import fp8
    from model.calibrate import cpu_precision
    from model.memory import shape_of

    if not fp8.is_fp8(folder):
        return
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    place = torch.device(kind)
    if fp8.has_fp8_units(place):
        return
    precision = precision or (cpu_precision(folder) if place.type == "cpu" else "bf16")
    need = _DEQUANTISED[precision] * shape_of(folder).parameters
    free = (
        int(psutil.virtual_memory().available) if place.type == "cpu" else torch.cuda.mem_get_info(place)[0]
    )
    if need > free:
        raise WeightsError(
            f"{folder.name} is FP8, which {kind} cannot compute with; dequantised ({precision}) it takes"
            f" {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: use a GPU with FP8 units or a smaller model"
        )
    _LOG.warning(
        "%s is FP8, which %s cannot compute with: dequantised (%s) it takes %.1f GB instead of %.1f GB",
        folder.name,
        kind,
        precision,
        need / 1e9,
        shape_of(folder).weight_bytes / 1e9,
    )


def default_name(device: str = "auto") -> str:
    """The 30B when it is pulled and a GPU of 40 GB or more is asked for and here, else the 0.5B."""
    if device != "cpu" and store.is_pulled(DEFAULT_LARGE_GPU):
        import torch

        if torch.cuda.is_available() and torch.cuda.get_device_properties(0).total_memory >= _LARGE_GPU_BYTES:
            return DEFAULT_LARGE_GPU
    return DEFAULT


def heads_folder(folder: Path, heads: str | None) -> Path | None:
    """The folder of the heads to use with a base, None for the bare base.

    Without a choice: the version in use in the data folder (`heads/<base>/current.json`), else heads
    placed there (`heads/<base>/heads.json`), else those shipped with the project.
    """
    if heads == "none":
        return None
    if heads is not None:
        chosen = Path(heads).expanduser()
        if not chosen.is_dir():
            raise WeightsError(
                f"no heads at {chosen}; give a folder with heads.json, or `none` for the bare base"
            )
        return chosen
    name = heads_name(folder)
    version = version_in_use(name)
    if version is None and (store.home() / "heads" / name / "heads.json").is_file():
        return store.home() / "heads" / name
    if version:
        chosen = version_folder(name, version)
        if not (chosen / "heads.json").is_file():
            raise WeightsError(
                f"version {version} of the heads of {name} is in use and not there ({chosen}); "
                "`agent heads use 0` goes back to the shipped ones"
            )
        return chosen
    return shipped_heads(name)


def heads_name(folder: Path) -> str:
    """The name under which the heads of a base are kept."""
    return str(store.record(folder).get("name", folder.name))


def shipped_heads(name: str) -> Path | None:
    """The heads that come with the project: those packed into the wheel, else those of a checkout."""
    package = Path(__file__).resolve().parent
    for place in (package / "shipped_heads", package.parent / "heads"):
        if (place / name / "heads.json").is_file():
            return place / name
    return None


def version_folder(name: str, version: int) -> Path:
    """Where version 1, 2, ... of a base's heads lies."""
    return store.home() / "heads" / name / f"v{version:04d}"


def version_in_use(name: str) -> int | None:
    """The version the data folder points at, None when it says nothing. Raises WeightsError for a damaged
    pointer."""
    path = store.home() / "heads" / name / HEADS_POINTER
    try:
        version = json.loads(path.read_text("utf-8"))["current"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        version = -1
    if not isinstance(version, int) or version < 0:
        raise WeightsError(f"{path} is damaged: `agent heads use 0` writes it anew")
    return version
