"""How far new heads have moved from old ones, on a probe that stays the same from round to round.

KL: of the AR head's next-token distribution, old to new, in nats a token. Acceptance: tokens per forward of a
replayed verified decode of the probe's answers (model.train.acceptance) with each set's own drafts.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from model.data.samples import Samples

if TYPE_CHECKING:
    import torch

    from model.train.forward import PackedForward

BLOCK = 16
PROBES = 48
CPU_PROBES, CPU_TOKENS = 2, 24  # every answer token costs a draft block
_CHUNK = 256


def drift(base: str, old: Path | None, new: Path, probe: Samples) -> dict[str, Any]:
    """kl: mean over the probe's answer tokens. old None: the bare base. Raises MemoryFullError."""
    from model.fullmemory import told
    from model.train.load import place

    with told(place()):
        return _drift(base, old, new, probe)


def _drift(base: str, old: Path | None, new: Path, probe: Samples) -> dict[str, Any]:
    import torch

    from model.train.load import load_forward

    forward = load_forward(new, base)
    if forward.device.type == "cpu":
        few = [dataclasses.replace(s, answer=s.answer[:CPU_TOKENS]) for s in probe.items[:CPU_PROBES]]
        probe = Samples(few, probe.meta)
    after = _states(forward, probe)
    figures: dict[str, Any] = {"samples": len(probe), "tokens": len(after)}
    figures["new_tokens_per_forward"] = _accepted(forward, probe)
    if old is None:
        forward.clean_head = None
        before = _states(forward, probe)
    else:
        forward = load_forward(old, base)
        before = _states(forward, probe)
        figures["old_tokens_per_forward"] = _accepted(forward, probe)
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(after), _CHUNK):
            part = slice(start, start + _CHUNK)
            p, q = ((h[part] @ forward.output_VD.T).float().log_softmax(-1) for h in (before, after))
            total += float((p.exp() * (p - q)).sum())
    figures["kl"] = round(total / max(1, len(after)), 5)
    return figures


def _accepted(forward: PackedForward, probe: Samples) -> float:
    from model.train.acceptance import Acceptance

    width = max(len(s.prompt) + len(s.answer) for s in probe)  # a row each costs less than one wide row
    return float(Acceptance(forward, BLOCK, row_tokens=width).measure(probe)["tpf_refined"]["all"])


def _states(forward: PackedForward, probe: Samples) -> torch.Tensor:
    """Final states [N, D] that predict the answer tokens of the probe, one sample a pass."""
    import torch

    from model.train.packing import lay_out

    found = []
    with torch.no_grad():
        for sample in probe:
            length = len(sample.prompt) + len(sample.answer)
            # Padded to few widths: equal shapes compile once on a GPU.
            width = -(-length // 256) * 256
            ids, position, document, answer = lay_out([[sample]], width, forward.heads.mask_id or 0)
            rows = {"ids_RT": ids, "position_RT": position, "document_RT": document}
            moved = {name: torch.from_numpy(row).to(forward.device) for name, row in rows.items()}
            states, _ = forward.clean(cast("Any", SimpleNamespace(**moved)))
            column = torch.from_numpy(answer[0].nonzero()[0] - 1).to(forward.device)
            found.append(states[0, column])
    return torch.cat(found)
