"""Rows of one KV cache that decode together, a token a row a pass: plain torch, for any base and device.

    lanes = Lanes(runner, rows=16, capacity=600)
    lanes.fill([(0, prompt, request), (1, other, request)])
    ids, logprobs = lanes.launch(2)()

A row is filled with a prompt and then decodes until it is filled again; nothing of a row depends on the
others. model.cuda_lanes is the same on a GPU with graphs; model.batch schedules requests over either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from model.errors import NumericsError
from model.fullmemory import give_back
from model.kvcache import KVCache
from model.request import GenerateRequest
from model.roles import Role, Tokens, whole
from model.runner import Runner
from model.sampling import NOT_FINITE, logprob, pick_rows

Filling = tuple[int, Sequence[int], GenerateRequest]
"""Row, prompt ids, and the request whose sampling settings hold."""
Chosen = tuple[list[int], list[float]]
"""Token and log probability of each row."""


class Settings:
    """What each row samples with, on the device; whole-batch flags on the host."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self.temperature = torch.zeros(rows, dtype=torch.float32, device=device)
        self.top_p = torch.ones(rows, dtype=torch.float32, device=device)
        self.seed = torch.zeros(rows, dtype=torch.int64, device=device)
        self._warm, self._cut = [False] * rows, [False] * rows

    def put(self, row: int, request: GenerateRequest) -> None:
        self.temperature[row], self.top_p[row] = request.temperature, request.top_p
        self.seed[row] = request.seed
        self._warm[row] = request.temperature > 0
        self._cut[row] = request.temperature > 0 and request.top_p < 1

    def move(self, source: int, target: int) -> None:
        for field in (self.temperature, self.top_p, self.seed):
            field[target] = field[source]
        self._warm[target], self._cut[target] = self._warm[source], self._cut[source]

    def kind(self, rows: int) -> tuple[bool, bool]:
        """Does any of the first rows sample? with top-p?"""
        return any(self._warm[:rows]), any(self._cut[:rows])

    def choose(
        self, logits_RV: torch.Tensor, positions_R: torch.Tensor, warm: bool, cut: bool
    ) -> torch.Tensor:
        """The token of each row; positions: absolute, of the tokens to be chosen."""
        rows = logits_RV.shape[0]
        if not warm:
            return logits_RV.argmax(-1)
        top_p = self.top_p[:rows] if cut else None
        return pick_rows(logits_RV, positions_R, self.temperature[:rows], top_p, self.seed[:rows])


class Lanes:
    """capacity: tokens of prompt and answer a row may hold."""

    ahead = 0
    """Passes worth launching before the last one's tokens are looked at."""

    def __init__(self, runner: Runner, rows: int, capacity: int) -> None:
        self.runner, self.rows, self.capacity = runner, rows, capacity
        self.asked = rows  # more than `rows` where memory was short
        device = runner.device
        dtype = torch.float32 if device.type == "cpu" else runner.base.dtype
        self.cache = KVCache(runner.base.config, rows, capacity + 2, dtype, device)
        self.settings = Settings(rows, device)
        self.token = torch.zeros(rows, dtype=torch.int64, device=device)

    def fill(self, rows: Sequence[Filling]) -> None:
        """Read prompts into rows, all but their last token, which is the row's next input."""
        for row, prompt, request in rows:
            view = self.cache.part(row, row + 1)
            view.length = [0]
            self.runner.prefill(view, prompt[:-1])
            self.cache.length[row] = len(prompt) - 1
            self._start(row, prompt, request)

    def copy(self, source: int, filling: Filling) -> None:
        """`fill` for a prompt that row `source` was filled with: its keys and values are copied."""
        row, prompt, request = filling
        self.cache.copy(source, row, len(prompt) - 1)
        self._start(row, prompt, request)

    def _start(self, row: int, prompt: Sequence[int], request: GenerateRequest) -> None:
        self.token[row] = prompt[-1]
        self.settings.put(row, request)

    def move(self, source: int, target: int) -> None:
        """Row `target` goes on as `source` would."""
        self.cache.copy(source, target, self.cache.length[source])
        self.token[target] = self.token[source]
        self.settings.move(source, target)

    @torch.inference_mode()
    def launch(self, rows: int) -> Callable[[], Chosen]:
        """One pass of the first `rows` rows. The call returns what they chose; raises NumericsError."""
        base, cache = self.runner.base, self.cache.part(0, rows)
        position_R = torch.tensor(cache.length, device=self.runner.device)
        attention = cache.attention(Tokens.clean(position_R[:, None]))
        x_R1D = base.embed(self.token[:rows, None])
        route = whole(self.runner.head_of.get(Role.CLEAN))
        h_R1D = base(x_R1D, position_R[:, None], attention, route)
        logits_RV = base.logits(h_R1D)[:, 0]
        ids = self.settings.choose(logits_RV, position_R + 1, *self.settings.kind(rows))
        log = logprob(logits_RV, ids)
        self.token[:rows] = ids
        for row in range(rows):
            self.cache.length[row] = min(self.cache.length[row] + 1, self.capacity)
        chosen = ids.tolist(), log.tolist()
        return lambda: chosen


def check_finite(logprobs: Sequence[float], rows: Sequence[int]) -> None:
    """Raises NumericsError when a row in use has no finite choice."""
    for row in rows:
        if not abs(logprobs[row]) < float("inf"):
            raise NumericsError(NOT_FINITE)


def default_rows(device: torch.device) -> int:
    """Rows that use a device well; more cost memory."""
    return 16 if device.type == "cpu" else 256


def lanes_for(runner: Runner, rows: int, capacity: int, old: Lanes | None) -> Lanes:
    """Lanes of at least this size for a runner: `old` where they do, since they may hold captured graphs.

    Raises MemoryFullError when a GPU has no room for one row.
    """
    if old is not None and old.runner is runner:
        if old.asked >= rows and old.capacity >= capacity:
            return old
        rows, capacity = max(rows, old.asked), max(capacity, old.capacity)
    del old
    fit, kind = rows, Lanes
    if runner.device.type == "cuda":
        give_back(runner.device)  # or the old ones' memory would not count as free
        from model.cuda_lanes import CudaLanes, fitting

        fit = fitting(runner, rows, capacity)
        kind = CudaLanes if CudaLanes.supports(runner, capacity) else Lanes
    lanes = kind(runner, fit, capacity)
    lanes.asked = rows
    return lanes
