"""`Weights`: a base on its device in the precision that suits it, its heads, and the runners over both.

    weights = Weights(folder, device="cpu", heads=heads, tokenizer_sha256=tokenizer.sha256)
    weights.mount()
    runner = weights.wide

Precision on a CPU is what this machine is fastest at (model.calibrate), unless `precision` says otherwise.
Heads are checked at once and loaded when an answer first needs them.
"""

from __future__ import annotations

from pathlib import Path

import torch

from model.base import Base
from model.calibrate import Precision, cpu_precision
from model.checkpoint import base_sha256
from model.errors import RequestError
from model.heads import HeadSet, check_folder, folder_sha256
from model.packed import pack, supported
from model.roles import Role
from model.runner import Runner

DTYPE = {"bf16": torch.bfloat16, "fp32": torch.float32, "mixed": torch.bfloat16}


class Weights:
    """precision: of weights and cache. `mixed` keeps the weights twice: bf16 for passes of one token, fp32 to
    read prompts (and for every pass with drafts), for CPUs without bf16 units.

    runner: for passes of one token. wide: for passes of many. Both are others once the heads are mounted.

    Raises WeightsError for a folder or heads that cannot be used, RequestError for a device that is not here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str,
        heads: Path | None,
        tokenizer_sha256: str,
        context: int | None = None,
        precision: Precision | None = None,
    ) -> None:
        self.folder, self.device = folder, resolve_device(device)
        if self.device.type == "cuda" and self.device.index is not None:
            torch.cuda.set_device(self.device)  # Triton launches and graphs capture on the current one
        self.base_sha256 = base_sha256(folder)
        self.heads: HeadSet | None = None
        self._tokenizer_sha256, self._heads_folder = tokenizer_sha256, heads
        self.head_roles = self._check_heads()
        self.precision: Precision = precision or self._default_precision()
        self.base = self._load(DTYPE[self.precision], context)
        self._wide_base = self._load(torch.float32, context) if self.precision == "mixed" else None
        self._pack()
        self.runner, self.wide = self._runners()
        if Role.CLEAN in self.head_roles:
            self.mount()

    def _check_heads(self) -> set[Role]:
        """Roles that the heads serve. Raises WeightsError for heads that do not fit."""
        if self._heads_folder is None:
            return set()
        config = check_folder(
            self._heads_folder, base_sha256=self.base_sha256, tokenizer_sha256=self._tokenizer_sha256
        )
        return {head.role for head in config.heads.values()}

    def _default_precision(self) -> Precision:
        if self.device.type != "cpu":
            return "bf16"
        best = cpu_precision(self.folder)
        # With drafts, `ar` and `verified` must be one precision, or they would not be one answer.
        return "fp32" if best == "mixed" and Role.DRAFT in self.head_roles else best

    def _load(self, dtype: torch.dtype, context: int | None) -> Base:
        return Base.load(self.folder, dtype=dtype, device=self.device, context=context)

    @property
    def heads_sha256(self) -> str:
        """Of the heads in use, mounted or not; empty without heads."""
        return folder_sha256(self._heads_folder) if self._heads_folder is not None else ""

    def mount(self) -> bool:
        """Load the heads if they are not yet, and make the runners anew; `ar` without an AR head never does,
        and pays nothing. True when it did: caches of the runners before are of no use now.
        """
        if self._heads_folder is None or self.heads is not None:
            return False
        for base in (self._wide_base, self.base):
            if base is not None:
                self.heads = HeadSet.load(
                    self._heads_folder,
                    base,
                    base_sha256=self.base_sha256,
                    tokenizer_sha256=self._tokenizer_sha256,
                )
        self._pack()
        self.runner, self.wide = self._runners()
        return True

    def _pack(self) -> None:
        for base in (self.base, self._wide_base):
            if base is not None and self.device.type == "cpu" and supported():
                pack(base)

    def _runners(self) -> tuple[Runner, Runner]:
        """For passes of one token, and for passes of many."""
        if self.device.type == "cuda":
            from model.cuda import CudaRunner
            from model.cuda import supported as fast

            if fast(self.base):
                graphs = CudaRunner(self.base, self.heads)
                return graphs, graphs
        runner = Runner(self.base, self.heads, prompt_base=self._wide_base)
        return runner, Runner(self._wide_base, self.heads) if self._wide_base is not None else runner


def resolve_device(device: str) -> torch.device:
    """`auto` is a GPU when there is one. Raises RequestError for a device that is not here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise RequestError(f"{device!r} is no device: use auto, cpu, cuda or cuda:1") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise RequestError("there is no CUDA device here: use --device cpu")
    return found
