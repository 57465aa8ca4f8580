"""Lanes on a GPU: a decode step of many rows is one CUDA graph, prompts are packed into passes of their own.

Token, position and sampling settings of each row live on the device and a step advances them, so the host
launches the next step before it has seen the last one's tokens. The kernels are those of model.cuda, whose
rows do not depend on the width of a pass, with a cache row a token (model.kernels.rows).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch.nn import functional as F

from model.cuda import CudaRunner
from model.cuda_pass import Norms
from model.errors import MemoryFullError
from model.graphs import capture
from model.kernels.linear import linear
from model.kernels.rows import attend_rows, rotate_rows, tokens_of_a_tile
from model.kernels.runs import RunSpace
from model.lanes import Chosen, Filling, Lanes
from model.request import GenerateRequest
from model.roles import Role
from model.runner import Runner
from model.sampling import logprob

_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
WIDEST = _SIZES[-1]
"""Rows of a step, and tokens of a prompt pass, at most."""
_PROMPT_SIZES = (64, 128, 256, WIDEST)


def fitting(runner: Runner, rows: int, capacity: int) -> int:
    """As many of `rows` as find room in nine tenths of the free memory. Raises MemoryFullError when
    not even one does.
    """
    row = row_bytes(runner, capacity)
    free, _ = torch.cuda.mem_get_info(runner.device)
    fit = int(free * 0.9 // row)
    if fit < 1:
        raise MemoryFullError(
            f"a row of {capacity} tokens takes {row / 1e9:.1f} GB of cache, {free / 1e9:.1f} GB are free: "
            "lower max_tokens, shorten the longest prompt, or end what else uses the GPU"
        )
    return min(rows, fit, WIDEST)


def row_bytes(runner: Runner, capacity: int) -> int:
    """Bytes of a row: its cache, and its share of a step."""
    config = runner.base.config
    token = 2 * config.layers * config.kv_heads * config.head_dim * runner.base.dtype.itemsize
    return token * (capacity + 512) + 24 * config.vocab


@dataclass(frozen=True, slots=True)
class RowsPass:
    """Memory of one pass over many rows (model.cuda.Memory)."""

    owner: CudaLanes
    row: torch.Tensor
    position: torch.Tensor
    tiles: torch.Tensor
    reach: int

    def attend(self, index: int, fused: torch.Tensor, norms: Norms, out_THK: torch.Tensor) -> None:
        q_THK = torch.empty_like(out_THK)
        keys, values = self.owner.cache.keys[index], self.owner.cache.values[index]
        rotate_rows(fused, self.owner.runner.turn, self.row, self.position, q_THK, keys, values, norms)
        attend_rows(
            q_THK, keys, values, self.row, self.position, self.tiles, self.reach, self.owner.space, out_THK
        )


class CudaLanes(Lanes):
    ahead = 1
    runner: CudaRunner

    @staticmethod
    def supports(runner: Runner, capacity: int) -> bool:
        return isinstance(runner, CudaRunner) and capacity + 2 <= runner.turn[0].shape[0]

    def __init__(self, runner: Runner, rows: int, capacity: int) -> None:
        super().__init__(runner, rows, capacity)
        config, device = runner.base.config, runner.device
        self.position = torch.zeros(rows, dtype=torch.int32, device=device)
        slots = self.cache.keys.shape[3]
        self.space = RunSpace(device, WIDEST, config.heads, config.head_dim, slots)
        self._tile = tokens_of_a_tile(config.heads, config.kv_heads)
        self._graphs: dict[tuple[int, ...], Callable[[], None]] = {}
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self._prompts: dict[int, _PromptPass] = {}
        self._out = torch.zeros(2, rows, dtype=torch.float64, device=device)

    def fill(self, rows: Sequence[Filling]) -> None:
        """Prompts are cut into passes of up to `WIDEST` tokens, several prompts a pass."""
        pieces = (
            (row, prompt[at : min(at + WIDEST, len(prompt) - 1)], at)
            for row, prompt, _ in rows
            for at in range(0, len(prompt) - 1, WIDEST)
        )
        waiting: list[tuple[int, Sequence[int], int]] = []
        for piece in pieces:
            if waiting and sum(len(ids) for _, ids, _ in waiting) + len(piece[1]) > WIDEST:
                self._read(waiting)
                waiting = []
            waiting.append(piece)
        if waiting:
            self._read(waiting)
        for row, prompt, request in rows:
            self._start(row, prompt, request)

    def _read(self, pieces: Sequence[tuple[int, Sequence[int], int]]) -> None:
        width = sum(len(ids) for _, ids, _ in pieces)
        size = next(size for size in _PROMPT_SIZES if size >= width)
        if size not in self._prompts:
            self._prompts[size] = _PromptPass(self, size, self._tile)
        self._prompts[size].run(pieces)

    def _start(self, row: int, prompt: Sequence[int], request: GenerateRequest) -> None:
        super()._start(row, prompt, request)
        self.cache.length[row] = len(prompt) - 1
        self.position[row] = len(prompt) - 1

    def copy(self, source: int, filling: Filling) -> None:
        self.cache.copy(source, filling[0], len(filling[1]) - 1)
        self._start(*filling)

    def move(self, source: int, target: int) -> None:
        # The host's length lags by the passes in flight.
        self.cache.copy(source, target, min(self.cache.length[source] + 2, self.capacity + 2))
        self.cache.length[target] = self.cache.length[source]
        self.token[target], self.position[target] = self.token[source], self.position[source]
        self.settings.move(source, target)

    @torch.inference_mode()
    def launch(self, rows: int) -> Callable[[], Chosen]:
        width = min(self.rows, next(size for size in _SIZES if size >= rows))
        reach = 512
        while reach < max(self.cache.length[:rows]) + 2:
            reach *= 2
        key = (width, min(reach, self.cache.keys.shape[3]), *self.settings.kind(rows))
        if key not in self._graphs:
            self._graphs[key] = self._captured(*key)
        self._graphs[key]()
        for row in range(rows):
            self.cache.length[row] = min(self.cache.length[row] + 1, self.capacity)
        if not self.token.is_cuda:
            now = _chosen(self._out[:, :rows])
            return lambda: now
        out = torch.empty(2, rows, dtype=torch.float64, pin_memory=True)
        out.copy_(self._out[:, :rows], non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no types here
        done.record()

        def wait() -> Chosen:
            done.synchronize()
            return _chosen(out)

        return wait

    def _captured(self, width: int, reach: int, warm: bool, cut: bool) -> Callable[[], None]:
        body = _Step(self, width, reach, warm, cut)
        token, position = self.token.clone(), self.position.clone()
        run = capture(body, self.runner.device, self._pool)
        self.token.copy_(token)
        self.position.copy_(position)
        return run


def _chosen(out: torch.Tensor) -> Chosen:
    ids, logs = out.tolist()
    return [int(token) for token in ids], logs


class _Step:
    """One token for rows 0..width-1: embed, pass, choose, advance. Rows that nobody uses go through the
    motions.
    """

    def __init__(self, lanes: CudaLanes, width: int, reach: int, warm: bool, cut: bool) -> None:
        self.lanes, self.width, self.warm, self.cut = lanes, width, warm, cut
        row = torch.arange(width, dtype=torch.int32, device=lanes.token.device)
        tiles = torch.stack((row, torch.ones_like(row)))
        self.memory = RowsPass(lanes, row, lanes.position[:width], tiles, reach)

    def __call__(self) -> None:
        lanes, width = self.lanes, self.width
        runner, position = lanes.runner, self.memory.position
        head = runner.head_of.get(Role.CLEAN)
        route = [] if head is None else [(0, width, head)]
        states = runner.through(F.embedding(lanes.token[:width], runner.base.embedding), route, self.memory)
        logits = linear(states, runner.base.head_weight(), runner.space)
        ids = lanes.settings.choose(logits, position.long() + 1, self.warm, self.cut)
        lanes._out[0, :width].copy_(ids)
        lanes._out[1, :width].copy_(logprob(logits, ids))
        lanes.token[:width].copy_(ids)
        position.copy_((position + 1).clamp_max(lanes.capacity))


class _PromptPass:
    """A pass of `size` tokens that only fills the cache."""

    def __init__(self, lanes: CudaLanes, size: int, tile: int) -> None:
        self._lanes, self._size, self._tile = lanes, size, tile
        device = lanes.runner.device
        tiles = min(size, size // tile + 1 + min(size, lanes.rows))
        # Tokens, rows, positions; then the tiles' starts and sizes. One copy fills them all.
        self._fields = torch.zeros(3 * size + 2 * tiles, dtype=torch.int32, device=device)
        self._fields[size : 2 * size] = -1
        self._ids, self._row, self._position = self._fields[: 3 * size].view(3, size).unbind(0)
        self._tiles = self._fields[3 * size :].view(2, tiles)
        with torch.inference_mode():
            self._run = capture(self._body, device, lanes._pool)

    def _body(self) -> None:
        runner = self._lanes.runner
        memory = RowsPass(
            self._lanes, self._row, self._position, self._tiles, self._lanes.cache.keys.shape[3]
        )
        head = runner.head_of.get(Role.CLEAN)
        route = [] if head is None else [(0, self._size, head)]
        runner.through(F.embedding(self._ids, runner.base.embedding), route, memory)

    @torch.inference_mode()
    def run(self, pieces: Sequence[tuple[int, Sequence[int], int]]) -> None:
        """pieces: row, ids and the position of the first, at most `size` tokens in all."""
        size, n = self._size, self._tiles.shape[1]
        ids: list[int] = []
        rows: list[int] = []
        positions: list[int] = []
        starts: list[int] = []
        counts: list[int] = []
        for row, part, first in pieces:
            for at in range(0, len(part), self._tile):
                starts.append(len(ids) + at)
                counts.append(min(self._tile, len(part) - at))
            ids += part
            rows += [row] * len(part)
            positions += range(first, first + len(part))
        empty = size - len(ids)
        fields = [*ids, *[0] * empty, *rows, *[-1] * empty, *positions, *[0] * empty]
        for column in (starts, counts):
            fields += islice([*column, *[0] * n], n)
        self._fields.copy_(torch.tensor(fields, dtype=torch.int32))
        self._run()
