"""`vllm:NAME`: vLLM in this process for `ar` decoding, behind the common interface.

vLLM is an extra with its own requirement set (`requirements/vllm.txt`); without it loading says so. Prompts
are rendered by our own tokenizer, so text never becomes control tokens. A step is one step of vLLM's engine.
"""

from __future__ import annotations

import importlib.util
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.errors import ModelError, RequestError
from model.fullmemory import less, told
from model.prompt import ar_prompt_ids
from model.request import FinishReason, GenerateRequest, Generation, ModelInfo, Step, Token
from model.stops import StopText
from model.tokenizer import Tokenizer

# Half a minute of kernel warm-up that only pays on servers that live for hours.
_ENVIRONMENT = {
    "VLLM_DEEP_GEMM_WARMUP": "skip",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


class BackendMissingError(ModelError):
    """The backend's package is not installed."""


class VLLMModel:
    """A `model.request.Model` over vLLM's engine, one request at a time.

    options: further engine arguments of vLLM, such as `gpu_memory_utilization=0.5`. Raises
    BackendMissingError, RequestError for a device that is not here, MemoryFullError for one without room for
    the weights.
    """

    def __init__(
        self, name: str, *, folder: Path, device: str = "auto", context: int | None = None, **options: Any
    ) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise BackendMissingError(
                "vLLM is not installed here; install trihead[vllm] (requirements/vllm.txt) in an environment"
                " of its own, or use a running server: openai:URL#model"
            )
        if device not in ("auto", "cpu", "cuda"):
            raise RequestError(f"vLLM picks its device itself; use --device auto, not {device!r}")
        for key, value in _ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        from vllm import EngineArgs, LLMEngine

        from model.checkpoint import base_sha256
        from model.weights import resolve_device

        self._tokenizer = Tokenizer(folder)
        arguments: dict[str, Any] = {
            "model": str(folder),
            "max_model_len": context,
            "skip_tokenizer_init": True,
            "seed": 0,
        }
        self._device = resolve_device(device)
        with told(self._device, "the model (a smaller one) or its context"):
            self._engine = LLMEngine.from_engine_args(EngineArgs(**(arguments | options)))
        config = self._engine.model_config
        self.info = ModelInfo(
            f"vllm:{name}",
            str(config.hf_config.model_type),
            int(config.max_model_len),
            str(self._engine.vllm_config.device_config.device_type),
            str(config.dtype).removeprefix("torch."),
            base_sha256=base_sha256(folder),
            tokenizer_sha256=self._tokenizer.sha256,
        )
        self._count = 0

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        """Raises RequestError, ContextOverflowError before the first step; drawing the steps raises
        MemoryFullError where the device has no room.
        """
        prompt = ar_prompt_ids(request, self._tokenizer, self.info.context, "vLLM")
        return self._steps(prompt, request, cancel)

    def _steps(
        self, prompt: list[int], request: GenerateRequest, cancel: threading.Event | None
    ) -> Iterator[Step]:
        from vllm import SamplingParams

        parameters = SamplingParams(
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            logprobs=0,
            detokenize=False,
            stop_token_ids=sorted(self._tokenizer.eos_ids),
            **request.extra,
        )
        self._count += 1
        name = str(self._count)
        started = last = time.perf_counter()
        self._engine.add_request(name, {"prompt_token_ids": prompt}, parameters)
        pieces, stops = self._tokenizer.detokenizer(), StopText(request.stop)
        ids: list[int] = []
        logprobs: list[float] = []
        commit_step: list[int] = []
        text, first, index = "", 0.0, 0
        reason: FinishReason = "length"
        running = True
        try:
            while running and not stops.stopped:
                if cancel is not None and cancel.is_set():
                    reason = "cancelled"
                    break
                with told(self._device, less(request, len(prompt))):
                    stepped = self._engine.step()
                outputs = [output for output in stepped if output.request_id == name]
                if not outputs:
                    continue
                running = not outputs[-1].finished
                completion = outputs[-1].outputs[0]
                if completion.finish_reason == "stop":
                    reason = "stop"
                new: list[Token] = []
                safe = ""
                for at in range(len(ids), len(completion.token_ids)):
                    token = int(completion.token_ids[at])
                    if token in self._tokenizer.eos_ids:
                        continue
                    logprob = float(completion.logprobs[at][token].logprob)
                    piece = pieces.push(token)
                    new.append(Token(len(ids), token, piece, math.exp(min(logprob, 0.0))))
                    ids.append(token)
                    logprobs.append(logprob)
                    commit_step.append(index)
                    safe += stops.push(piece)
                    if stops.stopped:
                        reason = "stop"
                        break
                now = time.perf_counter()
                first = first or now - started
                text += safe
                confidence = min((token.confidence for token in new), default=0.0)
                yield Step(index, tuple(new), text=safe, confidence=confidence, ms=1000 * (now - last))
                last, index = now, index + 1
        finally:
            if running:
                self._engine.abort_request([name])
        rest = stops.push(pieces.finish()) + stops.finish()
        result = Generation(
            text=text + rest,
            token_ids=tuple(ids),
            logprobs=tuple(logprobs),
            commit_step=tuple(commit_step),
            prompt_tokens=len(prompt),
            tokens=len(ids),
            forwards=index,
            wall_s=time.perf_counter() - started,
            prefill_s=first,
            finish_reason=reason,
            model=self.info.name,
            decode="ar",
            prompt_ids=tuple(prompt),
        )
        yield Step(index, text=rest, result=result)
