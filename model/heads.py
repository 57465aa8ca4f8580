"""A set of heads on one base: made fresh, saved, loaded.

    heads = HeadSet.create(base, HeadsConfig.read(path), mask_id)     # mounts zero adapters
    heads.save(folder, base, base_sha256=..., tokenizer_sha256=..., training={...})
    heads = HeadSet.load(folder, base, base_sha256=..., tokenizer_sha256=...)

On disk:

    NAME/adapter_config.json, adapter_model.safetensors   one PEFT LoRA folder a head (none where r is 0)
    extras.safetensors     what PEFT has no place for: mask [D], hint [D], draft_vocab [n],
                           sequential.*, length.*, router.*
    heads.json             config, mask_id, sha256 of base, tokenizer and files, training record

The LoRA weights live in the base's projections (model.lora); a HeadSet holds the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from model.base import Base
from model.errors import WeightsError
from model.headconfig import HeadsConfig
from model.length import LengthHead
from model.lora import adapters, mount, unmount
from model.roles import Role
from model.router import RouterHead
from model.sequential import SequentialHead

FORMAT = 1
_PREFIX = "base_model.model."


class HeadSet(nn.Module):
    """mask, hint: input vectors [D] of a masked position, and what is added to a hinted one. draft_vocab:
    ids the draft may use (empty: all). The vectors and small heads are float32 parameters.
    """

    draft_vocab: torch.Tensor

    def __init__(self, base: Base, config: HeadsConfig, mask_id: int | None) -> None:
        super().__init__()
        hidden = base.config.hidden
        draft = config.of_role(Role.DRAFT)
        if draft and (mask_id is None or mask_id >= base.config.vocab):
            raise WeightsError(
                f"this base has no free embedding row for MASK ({base.config.vocab} rows, all in use): "
                "heads with role draft need one; grow the embedding or use another base"
            )
        self.config, self.mask_id = config, mask_id
        row = base.embedding[mask_id].float() if draft and mask_id is not None else torch.zeros(hidden)
        self.mask = nn.Parameter(row.detach().clone().cpu())
        self.hint = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("draft_vocab", torch.empty(0, dtype=torch.int64))
        width = config.sequential_width if draft else 0
        self.sequential = SequentialHead(hidden, width) if width else None
        self.length = LengthHead(hidden, config.length.edges()) if config.of_role(Role.LENGTH) else None
        self.router = RouterHead(hidden, list(config.heads)) if config.policy == "auto" else None
        self.to(base.device)
        self.sha256 = ""

    @classmethod
    def create(
        cls, base: Base, config: HeadsConfig, mask_id: int | None, dtype: torch.dtype | None = None
    ) -> HeadSet:
        """Mount fresh adapters (B = 0; dtype None: the base's) and make the small parts."""
        heads = cls(base, config, mask_id)
        for name, head in config.heads.items():
            mount(base, name, head.lora, dtype)
        return heads

    def unmount(self, base: Base) -> None:
        for name in self.config.heads:
            unmount(base, name)

    def trained_parameters(self, base: Base, name: str) -> Iterator[nn.Parameter]:
        """The LoRA parameters of one head."""
        seen: set[int] = set()
        for _, adapter, _ in adapters(base, name):
            if id(adapter) not in seen:
                seen.add(id(adapter))
                yield from adapter.parameters()

    def _extras(self, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """The small parts. The sequential head's matrices follow `dtype`, the rest stays exact."""
        state = {k: v.detach().contiguous().cpu() for k, v in self.state_dict().items() if v.numel()}
        return {k: v.to(dtype) if dtype and k.startswith("sequential.") else v for k, v in state.items()}

    def save(
        self,
        folder: Path,
        base: Base,
        *,
        base_sha256: str,
        tokenizer_sha256: str,
        base_name: str = "",
        training: dict[str, Any] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Write the set into `folder` (made when absent). dtype: of adapters and
        sequential head on disk (None: as they are).
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, head in self.config.heads.items():
            if not head.lora.r:
                continue
            tensors = {}
            for where, adapter, part in adapters(base, name):
                tensors[f"{_PREFIX}{where}.lora_A.weight"] = adapter.down(part)
                tensors[f"{_PREFIX}{where}.lora_B.weight"] = adapter.b[part]
            peft = {
                "peft_type": "LORA",
                "task_type": "CAUSAL_LM",
                "base_model_name_or_path": base_name,
                "r": head.lora.r,
                "lora_alpha": head.lora.alpha,
                "target_modules": list(head.lora.targets),
                "lora_dropout": 0.0,
                "bias": "none",
                "fan_in_fan_out": False,
                "inference_mode": True,
            }
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "adapter_config.json").write_text(json.dumps(peft, indent=1) + "\n")
            flat = {k: v.detach().to(dtype or v.dtype).clone().cpu() for k, v in tensors.items()}
            save_file(flat, folder / name / "adapter_model.safetensors", metadata={"format": "pt"})
        save_file(self._extras(dtype), folder / "extras.safetensors", metadata={"format": "pt"})
        record = {
            "format": FORMAT,
            "base_sha256": base_sha256,
            "tokenizer_sha256": tokenizer_sha256,
            "base": base_name,
            "mask_id": self.mask_id,
            "config": self.config.as_dict(),
            "files": {str(p): _sha256(folder / p) for p in _files(self.config)},
            "training": training or {},
        }
        (folder / "heads.json").write_text(json.dumps(record, indent=1) + "\n")
        self.sha256 = _sha256(folder / "heads.json")

    @classmethod
    def load(
        cls,
        folder: Path,
        base: Base,
        *,
        base_sha256: str,
        tokenizer_sha256: str,
        dtype: torch.dtype | None = None,
    ) -> HeadSet:
        """Mount a saved set. Nothing stays mounted when it fails.

        Raises WeightsError: another base or tokenizer, a damaged or missing file, a wrong rank, a missing
        tensor.
        """
        config = check_folder(folder, base_sha256=base_sha256, tokenizer_sha256=tokenizer_sha256)
        mask_id = read_record(folder)["mask_id"]
        heads = cls.create(base, config, mask_id, dtype)
        try:
            for name, head in config.heads.items():
                if head.lora.r:
                    _fill(base, name, config, folder)
            heads._fill_extras(folder / "extras.safetensors")
        except WeightsError:
            heads.unmount(base)
            raise
        heads.sha256 = _sha256(folder / "heads.json")
        return heads

    @torch.no_grad()
    def _fill_extras(self, path: Path) -> None:
        saved = _load(path)
        if "draft_vocab" in saved:
            self.draft_vocab = saved.pop("draft_vocab").to(self.mask.device, torch.int64)
        wanted = self.state_dict()
        wanted.pop("draft_vocab")
        missing = sorted(set(wanted) - set(saved))
        if missing:
            raise WeightsError(f"{path} lacks {', '.join(missing)}: the heads folder is incomplete")
        for key, target in wanted.items():
            if saved[key].shape != target.shape:
                raise WeightsError(
                    f"{path}: {key} is {tuple(saved[key].shape)}, heads.json asks for {tuple(target.shape)}"
                )
            target.copy_(saved[key])


def read_record(folder: Path) -> dict[str, Any]:
    """heads.json of a set. Raises WeightsError when it is missing, damaged or of another format."""
    path = folder / "heads.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise WeightsError(f"{folder} holds no heads.json: not a heads folder") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} is damaged ({error}): copy the heads folder again") from None
    if record.get("format") != FORMAT:
        raise WeightsError(f"{path} has format {record.get('format')}, this version reads {FORMAT}")
    return record


def check_folder(folder: Path, *, base_sha256: str, tokenizer_sha256: str) -> HeadsConfig:
    """The config of a saved set that is whole and fits this base and tokenizer; reads no weights into memory.

    Raises WeightsError.
    """
    record = read_record(folder)
    for what, mine in (("base", base_sha256), ("tokenizer", tokenizer_sha256)):
        theirs = record.get(f"{what}_sha256", "")
        if theirs != mine:
            raise WeightsError(
                f"the heads in {folder} were trained on another {what} "
                f"({theirs[:12] or 'unknown'}, this one is {mine[:12]}): use heads made for this {what}"
            )
    config = HeadsConfig.parse(record["config"], str(folder / "heads.json"))
    for path in _files(config):
        if not (folder / path).is_file():
            raise WeightsError(f"{folder} lacks {path}: copy the whole heads folder again")
        if record["files"].get(str(path)) != _sha256(folder / path):
            raise WeightsError(f"{folder / path} is not the file heads.json describes: copy the folder again")
    return config


def folder_sha256(folder: Path) -> str:
    """What names a saved set in records: the hash of its heads.json, which holds those of its files."""
    return _sha256(folder / "heads.json")


def _files(config: HeadsConfig) -> list[Path]:
    names = ("adapter_config.json", "adapter_model.safetensors")
    adapted = [name for name, head in config.heads.items() if head.lora.r]
    return [Path(head) / name for head in adapted for name in names] + [Path("extras.safetensors")]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"cannot read {path} ({error}): copy the heads folder again") from None
    return tensors


@torch.no_grad()
def _fill(base: Base, name: str, config: HeadsConfig, folder: Path) -> None:
    """Copy one head's PEFT tensors into its mounted adapters."""
    saved = _load(folder / name / "adapter_model.safetensors")
    peft = json.loads((folder / name / "adapter_config.json").read_text())
    lora = config.heads[name].lora
    if peft.get("r") != lora.r or peft.get("lora_alpha") != lora.alpha:
        raise WeightsError(
            f"{name}: adapter_config.json says r {peft.get('r')} alpha {peft.get('lora_alpha')}, "
            f"heads.json says r {lora.r} alpha {lora.alpha}"
        )
    for where, adapter, part in adapters(base, name):
        for letter, target in (("A", adapter.down(part)), ("B", adapter.b[part])):
            key = f"{_PREFIX}{where}.lora_{letter}.weight"
            if key not in saved:
                raise WeightsError(f"{name}: adapter_model.safetensors lacks {key}")
            tensor = saved.pop(key)
            if tensor.shape != target.shape:
                raise WeightsError(f"{name}: {key} is {tuple(tensor.shape)}, expected {tuple(target.shape)}")
            target.copy_(tensor)
    if saved:
        raise WeightsError(
            f"{name}: adapter_model.safetensors holds unexpected tensors, such as {min(saved)}"
        )
