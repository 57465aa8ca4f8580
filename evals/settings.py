"""The settings of one run: everything that decides which tokens come out and how they are judged."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any, get_args

from evals.errors import UsageError
from model.request import Decode

# What `--sweep` may vary, with the type of its values.
SWEEPABLE: dict[str, type] = {
    "threshold": float,
    "window": int,
    "rule": str,
    "block": int,
    "temperature": float,
    "top_p": float,
    "decode": str,
    "max_tokens": int,
    "heads": str,
    "model": str,
}
RULES = ("threshold", "entropy")


@dataclass(frozen=True, slots=True)
class Settings:
    """temperature 0 is greedy (then n is 1). tasks: `0-9,32` or ids. heads: a folder of heads, or ''.
    rule: what free `diffusion` commits by, '' for drafts that the AR head judges, with `window`.
    """

    benchmark: str
    model: str
    decode: Decode = "ar"
    heads: str = ""
    n: int = 1
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    max_tokens: int | None = None
    block: int | None = None
    threshold: float | None = None
    limit: int | None = None
    tasks: str = ""
    device: str = ""
    rule: str = ""
    window: int | None = None

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if self.n < 1:
            raise UsageError(f"--n must be at least 1, not {self.n}")
        if not 0 <= self.temperature <= 5:
            raise UsageError(f"--temperature must be from 0 to 5, not {self.temperature:g}")
        if self.temperature == 0 and self.n > 1 and self.model != "canonical":
            raise UsageError(
                f"--n {self.n} with --temperature 0 gives {self.n} equal samples; set a temperature"
            )
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p must be above 0 and at most 1, not {self.top_p:g}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UsageError(f"--max-tokens must be at least 1, not {self.max_tokens}")
        if self.block is not None and self.block < 2:
            raise UsageError(f"--block must be at least 2, not {self.block}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit must be at least 1, not {self.limit}")
        if self.decode not in get_args(Decode):
            raise UsageError(f"--decode must be one of {', '.join(get_args(Decode))}, not {self.decode!r}")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UsageError(f"--threshold must be above 0 and at most 1, not {self.threshold:g}")
        if self.rule not in ("", *RULES):
            raise UsageError(f"--rule must be one of {', '.join(RULES)}, not {self.rule!r}")
        if self.rule and self.decode != "diffusion":
            raise UsageError(f"--rule is for --decode diffusion, not {self.decode}")
        if self.window is not None and (self.rule or self.decode != "diffusion"):
            raise UsageError("--window is for --decode diffusion without --rule: else no head judges drafts")
        if self.window is not None and not 0 <= self.window <= 64:
            raise UsageError(f"--window must be from 0 to 64 draft tokens, not {self.window}")

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def extra(self) -> dict[str, Any]:
        """What a request carries beside the fields that all decoders know (model.request)."""
        given = {"rule": self.rule or None, "window": self.window}
        return {key: value for key, value in given.items() if value is not None}

    def sample_seed(self, task_id: str, sample: int) -> int:
        """A seed of its own for each sample: order, resume and batching do not change what is drawn."""
        text = f"{self.seed}/{task_id}/{sample}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def sweep(base: Settings, specs: tuple[str, ...]) -> dict[str, Settings]:
    """The product of all `name=v1,v2` specs as settings by folder name. Raises UsageError."""
    runs = {"": base}
    for spec in specs:
        key, equals, values = spec.partition("=")
        if not equals or key not in SWEEPABLE or not values.strip(","):
            raise UsageError(f"--sweep {spec!r}: write name=v1,v2 with a name of {', '.join(SWEEPABLE)}")
        grown: dict[str, Settings] = {}
        for folder, settings in runs.items():
            for text in filter(None, values.split(",")):
                try:
                    value = SWEEPABLE[key](text)
                except ValueError:
                    raise UsageError(
                        f"--sweep {spec!r}: {text!r} is not a {SWEEPABLE[key].__name__}"
                    ) from None
                name = f"{folder},{key}={text}".lstrip(",").replace("/", "_")
                grown[name] = dataclasses.replace(settings, **{key: value})
        runs = grown
    return runs
