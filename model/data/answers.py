"""The base answers prompts in bulk: batched decoding over slots that are refilled as answers end.

    for done in Answerer(base, eos, slots=1024, max_tokens=320).run(prompts, temperatures): ...

Training heads on what the base itself says is what makes drafts agree with it. Speed comes from width: one
decode step for all slots, on CUDA captured in a graph; prompts enter in batches of similar length. Rows are
independent, but bf16 kernels round differently at different widths, so a greedy answer may part from a
single-stream one at a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from model.base import Attend, Base
from model.data.samples import Ids
from model.roles import Route, whole

STEPS = 16  # decode steps between two looks at which slots have ended
PREFILL_TOKENS = 32_768  # padded prompt tokens in one prefill


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to prompt `index`; ids end with an EOS token when `finished`."""

    index: int
    ids: Ids
    finished: bool


class Answerer:
    """slots: answers under way at once. context: prompt plus answer at most; longer prompts are refused by
    `run`. head: the mounted LoRA head that speaks (None: the base itself)."""

    def __init__(
        self,
        base: Base,
        eos: Sequence[int],
        *,
        slots: int = 256,
        max_tokens: int = 256,
        max_prompt: int = 320,
        seed: int = 1,
        compiled: bool = False,
        head: str | None = None,
    ) -> None:
        self.route = whole(head)
        self.base, self.slots, self.max_tokens, self.max_prompt = base, slots, max_tokens, max_prompt
        config, device = base.config, base.device
        self.context = max_prompt + max_tokens
        shape = (config.layers, slots, config.kv_heads, self.context, config.head_dim)
        self.k = torch.zeros(shape, dtype=base.dtype, device=device)
        self.v = torch.zeros(shape, dtype=base.dtype, device=device)
        self.token_R = torch.zeros(slots, dtype=torch.int64, device=device)
        self.filled_R = torch.zeros(slots, dtype=torch.int64, device=device)
        self.made_R = torch.zeros(slots, dtype=torch.int64, device=device)
        self.done_R = torch.ones(slots, dtype=torch.bool, device=device)
        self.temperature_R1 = torch.zeros(slots, 1, device=device)
        self.out_RM = torch.zeros(slots, max_tokens, dtype=torch.int64, device=device)
        self.row_R = torch.arange(slots, device=device)
        self.eos = torch.tensor(list(eos), device=device)
        torch.manual_seed(seed)
        self._choose = torch.compile(_choose, dynamic=False) if compiled else _choose
        self._layer: Callable[..., torch.Tensor] = (
            torch.compile(_run_layer, dynamic=False) if compiled else _run_layer
        )
        self._graph: Any = None

    @torch.no_grad()
    def run(self, prompts: Sequence[Ids], temperatures: Sequence[float]) -> Iterator[Answer]:
        """Answers as they end, in no particular order. Raises ValueError for a prompt that is empty or too
        long."""
        for index, prompt in enumerate(prompts):
            if not 0 < len(prompt) <= self.max_prompt:
                raise ValueError(
                    f"prompt {index} has {len(prompt)} tokens; 1 to {self.max_prompt} are allowed"
                )
        order = self._order(prompts)
        holds = np.full(self.slots, -1)
        self.done_R.fill_(True)
        while order or (holds >= 0).any():
            done, made = self.done_R.cpu().numpy(), self.made_R.cpu().numpy()
            ended = np.flatnonzero(done & (holds >= 0))
            if len(ended):
                rows = self.out_RM[torch.from_numpy(ended).to(self.out_RM.device)].cpu().numpy()
                for row, slot in zip(rows, ended, strict=True):
                    ids = row[: made[slot]].astype(np.int32)
                    yield Answer(int(holds[slot]), ids, bool(np.isin(ids[-1], self.eos.cpu().numpy())))
                holds[ended] = -1
            free = np.flatnonzero(holds < 0)
            # Wait for a worthwhile batch unless the slots would run dry.
            if order and (len(free) >= min(len(order), self.slots // 8) or len(free) == self.slots):
                self._fill(prompts, temperatures, order, free, holds)
            if (holds >= 0).any():
                self._decode()

    def _order(self, prompts: Sequence[Ids]) -> list[int]:
        """Prompts sorted by length within stretches, last one first, so that batches hardly pad and an
        early stop does not favour short prompts."""
        stretch = 8 * self.slots
        order: list[int] = []
        for start in range(0, len(prompts), stretch):
            part = range(start, min(start + stretch, len(prompts)))
            order += sorted(part, key=lambda i: len(prompts[i]))
        return order[::-1]

    def _fill(
        self, prompts: Sequence[Ids], temperatures: Sequence[float], order: list[int], free: Any, holds: Any
    ) -> None:
        free_slots = free.tolist()
        while order and free_slots:
            widest = -(-len(prompts[order[-1]]) // 32) * 32
            count = min(len(free_slots), len(order), max(1, PREFILL_TOKENS // widest))
            chosen = [order.pop() for _ in range(count)]
            slots, free_slots = free_slots[:count], free_slots[count:]
            holds[slots] = chosen
            self._prefill([prompts[i] for i in chosen], [temperatures[i] for i in chosen], slots)

    def _prefill(self, prompts: list[Ids], temperatures: list[float], slots: list[int]) -> None:
        device = self.base.device
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        width = min(self.max_prompt, -(-int(lengths.max()) // 32) * 32)
        ids = np.zeros((len(prompts), width), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
        slot = torch.tensor(slots, device=device)
        x = self.base.embed(torch.from_numpy(ids).to(device))
        position = torch.arange(width, device=device).expand(len(prompts), -1)
        h = self.base(x, position, _Prefill(self.k, self.v, slot), self.route)
        last = h[torch.arange(len(prompts), device=device), lengths - 1]
        temperature = torch.tensor(temperatures, device=device, dtype=torch.float32)[:, None]
        first = _choose(self.base.logits(last), temperature)
        self.temperature_R1[slot] = temperature
        self.token_R[slot], self.filled_R[slot] = first, lengths
        self.out_RM[slot, 0] = first
        self.made_R[slot] = 1
        self.done_R[slot] = self._ends(first) | (self.max_tokens == 1)

    def _decode(self) -> None:
        if self.base.device.type != "cuda":
            for _ in range(STEPS):
                self._step()
            return
        if self._graph is None:
            self._capture()
        for _ in range(STEPS):
            self._graph.replay()

    def _capture(self) -> None:
        """Warm up on a side stream and capture one step; the warm-up's effects on the slots are undone."""
        state = (self.token_R, self.filled_R, self.made_R, self.done_R, self.out_RM)
        before = [x.clone() for x in state]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._step()
        for x, old in zip(state, before, strict=True):
            x.copy_(old)

    def _step(self) -> None:
        """One token for every slot; ended slots go through the motions and keep their results."""
        at_R = self.filled_R.clamp_max(self.context - 1)
        x = self.base.embed(self.token_R[:, None])
        turn = self.base.rotation(at_R[:, None])
        hidden_RS = torch.arange(self.context, device=x.device) > at_R[:, None]
        bias = torch.zeros(hidden_RS.shape, dtype=x.dtype, device=x.device).masked_fill(
            hidden_RS, float("-inf")
        )
        for i, layer in enumerate(self.base.layers):
            x = self._layer(layer, x, turn, self.route, self.k[i], self.v[i], self.row_R, at_R, bias)
        token_R = self._choose(self.base.logits(self.base.norm(x))[:, 0], self.temperature_R1)
        going_R = ~self.done_R
        place_R = self.made_R.clamp_max(self.max_tokens - 1)
        self.out_RM[self.row_R, place_R] = torch.where(going_R, token_R, self.out_RM[self.row_R, place_R])
        self.made_R += going_R
        self.filled_R += going_R
        self.token_R.copy_(token_R)
        self.done_R |= self._ends(token_R) | (self.made_R >= self.max_tokens)

    def _ends(self, token_R: torch.Tensor) -> torch.Tensor:
        return (token_R[:, None] == self.eos).any(1)


def _choose(logits_RV: torch.Tensor, temperature_R1: torch.Tensor) -> torch.Tensor:
    """Sample at each row's temperature by the Gumbel trick: argmax(logits + T * g); T = 0 is greedy."""
    noise = torch.rand(logits_RV.shape, device=logits_RV.device).clamp(1e-10, 1 - 1e-7)
    chosen: torch.Tensor = (logits_RV.float() - temperature_R1 * (-noise.log()).log()).argmax(-1)
    return chosen


def _run_layer(
    layer: Any,
    x: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    route: Route,
    k_RGSK: torch.Tensor,
    v_RGSK: torch.Tensor,
    row_R: torch.Tensor,
    at_R: torch.Tensor,
    bias_RS: torch.Tensor,
) -> torch.Tensor:
    def attend(q_RH1K: torch.Tensor, k_RG1K: torch.Tensor, v_RG1K: torch.Tensor) -> torch.Tensor:
        k_RGSK[row_R, :, at_R] = k_RG1K[:, :, 0]
        v_RGSK[row_R, :, at_R] = v_RG1K[:, :, 0]
        R, H, _, K = q_RH1K.shape
        G = k_RGSK.shape[1]
        # One product a KV head: each is read once for all its query heads.
        scores = (q_RH1K.view(R, G, H // G, K) * K**-0.5) @ k_RGSK.transpose(2, 3) + bias_RS[:, None, None]
        out_RGHK: torch.Tensor = scores.float().softmax(-1).to(x.dtype) @ v_RGSK
        return out_RGHK.view(R, H, 1, K)

    out: torch.Tensor = layer(x, turn, attend, route)
    return out


class _Prefill:
    """Causal attention over padded prompts; keys and values go to the slots' caches."""

    def __init__(self, k: torch.Tensor, v: torch.Tensor, slot: torch.Tensor) -> None:
        self.k, self.v, self.slot = k, v, slot

    def layer(self, index: int) -> Attend:
        def attend(q_BHTK: torch.Tensor, k_BGTK: torch.Tensor, v_BGTK: torch.Tensor) -> torch.Tensor:
            width = k_BGTK.shape[2]
            self.k[index][self.slot, :, :width] = k_BGTK
            self.v[index][self.slot, :, :width] = v_BGTK
            return F.scaled_dot_product_attention(q_BHTK, k_BGTK, v_BGTK, is_causal=True, enable_gqa=True)

        return attend
