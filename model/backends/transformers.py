"""`transformers:NAME`: `generate` of transformers on the same folder, behind the common interface: a peer to
measure beside.

Prompts are rendered by our own tokenizer and the weights have the precision that our engine would choose. An
answer comes as one step. Log probabilities are not asked for, since that would slow it down: they are NaN.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.calibrate import cpu_precision
from model.checkpoint import base_sha256
from model.errors import MemoryFullError
from model.fullmemory import give_back, less, told
from model.prompt import ar_prompt_ids
from model.request import GenerateRequest, ModelInfo, Step
from model.session import Session
from model.stops import StopText
from model.tokenizer import Tokenizer
from model.weights import resolve_device


class TransformersModel:
    """A `model.request.Model` over transformers' `generate`, one request at a time, `ar` only.

    static_cache: of fixed size, with which transformers compiles its decoding on a GPU. Raises RequestError
    for a device that is not here, MemoryFullError for one without room for the weights.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        device: str = "auto",
        context: int | None = None,
        static_cache: bool = False,
    ) -> None:
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig
        from transformers.utils import logging

        place = resolve_device(device)
        half = place.type != "cpu" or cpu_precision(folder) == "bf16"
        dtype = torch.bfloat16 if half else torch.float32
        self._tokenizer = Tokenizer(folder)
        logging.disable_progress_bar()  # its bar of weights would run through our rows
        with told(place, "the model (a smaller one)"):
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(place).eval()
        # A checkpoint may bring penalties and a top-k of its own; the request says all there is.
        self._model.generation_config = GenerationConfig()
        self._device, self._cache = place, "static" if static_cache else None
        config = self._model.config
        self.info = ModelInfo(
            f"transformers:{name}",
            str(config.model_type),
            min(context or config.max_position_embeddings, config.max_position_embeddings),
            str(place),
            "bf16" if half else "fp32",
            base_sha256=base_sha256(folder),
            tokenizer_sha256=self._tokenizer.sha256,
        )

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        """Raises RequestError, ContextOverflowError before the first pass; drawing the steps raises
        MemoryFullError where the device has no room.
        """
        prompt = ar_prompt_ids(request, self._tokenizer, self.info.context, "transformers")
        return self._steps(prompt, request, cancel)

    def _steps(
        self, prompt: list[int], request: GenerateRequest, cancel: threading.Event | None
    ) -> Iterator[Step]:
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        session = Session(request, prompt, self._tokenizer, model=self.info.name, decode="ar", cancel=cancel)
        warm = request.temperature > 0
        config = GenerationConfig(
            max_new_tokens=request.max_tokens,
            cache_implementation=self._cache,
            do_sample=warm,
            temperature=request.temperature if warm else None,
            top_p=request.top_p if warm else None,
            top_k=0 if warm else None,
            eos_token_id=sorted(self._tokenizer.eos_ids),
            pad_token_id=min(self._tokenizer.eos_ids),
        )
        watch = _Watch(request, self._tokenizer, cancel)
        ids: list[int] = []
        if request.max_tokens:
            ids_1T = torch.tensor([prompt], device=self._device)
            torch.manual_seed(request.seed)
            try:
                with told(self._device, less(request, len(prompt))):
                    out: Any = self._model.generate(
                        ids_1T,
                        attention_mask=torch.ones_like(ids_1T),
                        generation_config=config,
                        stopping_criteria=StoppingCriteriaList([watch]),
                    )
            except MemoryFullError:
                give_back(self._device)
                raise
            ids = out[0, len(prompt) :].tolist()
            session.prefill_s = watch.first_s
        unknown = [float("nan")] * len(ids)
        tokens, text = session.commit(ids, unknown, unknown)
        if not session.done and not session.cancelled():
            session.finish = "length"
        yield session.step(tokens, text, forwards=watch.passes)


class _Watch:
    """A stopping criterion: a stop string is complete, or the request was cancelled. Counts the passes."""

    def __init__(
        self, request: GenerateRequest, tokenizer: Tokenizer, cancel: threading.Event | None
    ) -> None:
        self.passes, self.first_s = 0, 0.0
        self._stops, self._pieces = StopText(request.stop), tokenizer.detokenizer()
        self._cancel, self._begun = cancel, time.perf_counter()

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        if not self.passes:
            self.first_s = time.perf_counter() - self._begun
        self.passes += 1
        self._stops.push(self._pieces.push(int(input_ids[0, -1])))
        stop = self._stops.stopped or (self._cancel is not None and self._cancel.is_set())
        return torch.full((1,), stop, dtype=torch.bool, device=input_ids.device)
