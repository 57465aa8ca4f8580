"""The frozen base: Qwen2, Qwen3 and Qwen3-MoE in plain torch, from a folder of safetensors.

    base = Base.load(folder, dtype=torch.bfloat16, device="cpu")
    h_BTD = base(base.embed(ids_BT), positions_BT, attention)      # final, normed states
    logits_BTV = base.logits(h_BTD)                                # state at position i predicts token i + 1

The model knows no cache, no mask and no adapter. Position ids are given, so draft tokens may repeat them.
`attention` has `layer(i)`, a callable (q_BHTK, k_BGTK, v_BGTK) -> o_BHTK that owns masking and caching
(model.kvcache, or any mask of your own for training). `route` says which columns belong to which head;
plain projections ignore it and model.lora swaps them for ones that do not.

Shape letters: B rows, T tokens, D hidden, H query heads, G key-value heads, K head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import nn
from torch.nn import functional as F

from model.baseconfig import BaseConfig
from model.experts import Experts
from model.projection import DenseProjection, Projection
from model.roles import NO_HEADS, Route
from model.rope import Rotation, rope_table, rotate, rotation

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Attention(Protocol):
    """Masking and caching of one pass. `layer(i)` is called once a layer, in order."""

    def layer(self, index: int) -> Attend: ...


class RMSNorm(nn.Module):
    """x / rms(x) * weight: the mean square in float32, the product with the weight in the compute dtype."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width), requires_grad=False)
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class MLP(nn.Module):
    def __init__(self, config: BaseConfig) -> None:
        super().__init__()
        wide = config.intermediate
        self.gate_up: Projection = DenseProjection(config.hidden, {"gate_proj": wide, "up_proj": wide})
        self.down: Projection = DenseProjection(wide, {"down_proj": config.hidden})

    def forward(self, x_BTD: torch.Tensor, route: Route) -> torch.Tensor:
        gate, up = self.gate_up(x_BTD, route).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up, route)


class Layer(nn.Module):
    def __init__(self, config: BaseConfig, index: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.heads, config.kv_heads, config.head_dim
        q, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.input_norm = RMSNorm(config.hidden, config.eps)
        self.qkv: Projection = DenseProjection(
            config.hidden, {"q_proj": q, "k_proj": kv, "v_proj": kv}, bias=config.qkv_bias
        )
        self.q_norm = RMSNorm(config.head_dim, config.eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, config.eps) if config.qk_norm else None
        self.o: Projection = DenseProjection(q, {"o_proj": config.hidden})
        self.post_norm = RMSNorm(config.hidden, config.eps)
        sparse = config.experts > 0 and index not in config.dense_layers
        self.mlp: nn.Module = (
            Experts(
                config.hidden,
                config.expert_intermediate,
                config.experts,
                config.experts_per_token,
                config.norm_topk,
            )
            if sparse
            else MLP(config)
        )

    def forward(self, x_BTD: torch.Tensor, turn: Rotation, attend: Attend, route: Route) -> torch.Tensor:
        B, T, _ = x_BTD.shape
        H, G, K = self.heads, self.kv_heads, self.head_dim
        qkv = self.qkv(self.input_norm(x_BTD), route).view(B, T, H + 2 * G, K)
        qk, v = torch.split(qkv, [H + G, G], dim=2)
        if self.q_norm is not None and self.k_norm is not None:
            qk = torch.cat((self.q_norm(qk[:, :, :H]), self.k_norm(qk[:, :, H:])), dim=2)
        q, k = torch.split(rotate(qk, turn), [H, G], dim=2)
        o_BHTK = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        x_BTD = x_BTD + self.o(o_BHTK.transpose(1, 2).reshape(B, T, H * K), route)
        out: torch.Tensor = x_BTD + self.mlp(self.post_norm(x_BTD), route)
        return out


class Base(nn.Module):
    """A frozen causal language model. All parameters have requires_grad False."""

    inverse_frequency: torch.Tensor

    def __init__(self, config: BaseConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.vocab, config.hidden), requires_grad=False)
        stack = nn.ModuleList(Layer(config, i) for i in range(config.layers))
        self.layers = cast("Sequence[Layer]", stack)
        self.norm = RMSNorm(config.hidden, config.eps)
        self.head: Projection = DenseProjection(config.hidden, {"lm_head": config.vocab})
        if config.tied:
            self.head.weight = self.embedding
        inverse, self.rope_scale = rope_table(config.head_dim, config.theta, config.yarn)
        self.register_buffer("inverse_frequency", inverse, persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        return self.norm.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.norm.weight.device

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        context: int | None = None,
        fp8: bool | None = None,
    ) -> Base:
        """Read config.json and *.safetensors. fp8: keep weights that are stored in FP8 so (None: where the
        device multiplies FP8), else they are dequantised. Raises WeightsError naming what is missing or has
        a wrong shape.
        """
        from model.checkpoint import read_into
        from model.fp8 import has_fp8_units

        folder = Path(folder)
        config = BaseConfig.read(folder, context)
        with torch.device("meta"):
            base = cls(config)
        place = torch.device(device)
        read_into(base, folder, dtype=dtype, device=place, fp8=has_fp8_units(place) if fp8 is None else fp8)
        return base.eval()

    def embed(self, ids_BT: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids_BT, self.embedding)

    def rotation(self, positions_BT: torch.Tensor) -> Rotation:
        return rotation(self.inverse_frequency, self.rope_scale, positions_BT, self.dtype)

    def forward(
        self,
        x_BTD: torch.Tensor,
        positions_BT: torch.Tensor,
        attention: Attention,
        route: Route = NO_HEADS,
    ) -> torch.Tensor:
        """Final normed states [B, T, D] of input embeddings [B, T, D] at the given rotary positions."""
        turn = self.rotation(positions_BT)
        for i, layer in enumerate(self.layers):
            x_BTD = layer(x_BTD, turn, attention.layer(i), route)
        out: torch.Tensor = self.norm(x_BTD)
        return out

    def logits(self, h_BTD: torch.Tensor) -> torch.Tensor:
        """[B, T, V] in the compute dtype."""
        return self.head(h_BTD, NO_HEADS)

    def head_weight(self) -> torch.Tensor:
        """The output matrix [V, D], for looking up rows."""
        weight = self.embedding if self.config.tied else self.head.weight
        assert isinstance(weight, torch.Tensor)
        return weight

    def projections(self) -> Iterator[tuple[nn.Module, str, Projection]]:
        """(owner, attribute, projection) of every projection inside the layers, in order: for converters."""
        for layer in self.layers:
            yield layer, "qkv", layer.qkv
            yield layer, "o", layer.o
            if isinstance(layer.mlp, MLP):
                yield layer.mlp, "gate_up", layer.mlp.gate_up
                yield layer.mlp, "down", layer.mlp.down
