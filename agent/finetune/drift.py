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
_WIDTHS = 256  # widths of a row are multiples of it


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


def _width(probe: Samples) -> int:
    """Of a row that holds any one sample; a row each costs less than one wide row."""
    longest = max(len(s.prompt) + len(s.answer) for s in probe)
    return -(-longest // _WIDTHS) * _WIDTHS


def _accepted(forward: PackedForward, probe: Samples) -> float:
    from model.train.acceptance import Acceptance

    found = Acceptance(forward, BLOCK, row_tokens=_width(probe)).measure(probe)
    return float(found["tpf_refined"]["all"])


def _states(forward: PackedForward, probe: Samples) -> torch.Tensor:
    """Final states [N, D] that predict the answer tokens of the probe, a sample a row."""
    import torch

    from model.train.acceptance import ROWS
    from model.train.packing import lay_out

    found = []
    # On a GPU the rows and width of `Acceptance`: a pass of another shape is compiled anew, and after a few
    # of those not at all.
    count = ROWS if forward.flex else 1
    with torch.no_grad():
        for start in range(0, len(probe), count):
            rows = [[sample] for sample in probe.items[start : start + count]]
            rows += [[]] * (count - len(rows))
            ids, position, document, answer = lay_out(rows, _width(probe), forward.heads.mask_id or 0)
            arrays = {"ids_RT": ids, "position_RT": position, "document_RT": document}
            moved = {name: torch.from_numpy(array).to(forward.device) for name, array in arrays.items()}
            states, _ = forward.clean(cast("Any", SimpleNamespace(**moved)))
            row, column = (torch.from_numpy(x).to(forward.device) for x in answer.nonzero())
            found.append(states[row, column - 1])
    return torch.cat(found)
