"""Tasks that a made-up teacher answers, in the token ids of the tiny base."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from agent.finetune.tasks import DoctestTask
from model import store
from model.checkpoint import base_sha256
from model.request import GenerateRequest, Generation, ModelInfo, Step
from model.tokenizer import Tokenizer
from verify.request import Case


class Teacher:
    """Answers by function name and seed: replies[name][seed % count]. `generate_many` answers backwards."""

    def __init__(
        self, replies: Mapping[str, list[str]], *, forwards: Callable[[int], int] = lambda n: n
    ) -> None:
        folder = store.resolve("tiny")
        self.tokenizer, self.replies, self.forwards = Tokenizer(folder), replies, forwards
        self.info = ModelInfo("tiny", "tiny", 4096, "cpu", "fp32", base_sha256(folder), self.tokenizer.sha256)
        self.asked: list[GenerateRequest] = []
        self.batches: list[int | None] = []

    def generate(self, request: GenerateRequest, cancel: threading.Event | None = None) -> Iterator[Step]:
        self.asked.append(request)
        name = re.findall(r"^def (\w+)", request.messages[-1].content, re.MULTILINE)[-1]
        options = self.replies[name]
        text = options[request.seed % len(options)]
        ids = tuple(self.tokenizer.encode(text + "\n```"))
        prompt = tuple(self.tokenizer.render_chat(request.messages))
        count = self.forwards(len(ids))
        result = Generation(
            text, ids, (0.0,) * len(ids), (0,) * len(ids), len(prompt), len(ids), count, 0.1, 0.0, "stop",
            "tiny", "verified", prompt,
        )  # fmt: skip
        yield Step(0, text=text, result=result)

    def generate_many(
        self, requests: list[GenerateRequest], cancel: object = None, max_batch: int | None = None
    ) -> Iterator[tuple[int, Step]]:
        self.batches.append(max_batch)
        for number in reversed(range(len(requests))):
            for step in self.generate(requests[number]):
                yield number, step


def make_task(name: str, split: str = "train", add: int = 1, **changes: Any) -> DoctestTask:
    """`name(x)` adds `add`; the stub shows one of two examples."""
    task = DoctestTask(
        id=f"pkg/{name}",
        unit="pkg" if split == "train" else "other",
        package="pkg",
        version="1",
        licence="MIT",
        path="m.py:1",
        entry=name,
        stub=f'def {name}(x):\n    """Add {add}.\n\n    >>> {name}(1)\n    {1 + add}\n    """\n',
        solution=f"def {name}(x):\n    return x + {add}\n",
        cases=(Case((1,), expected=1 + add), Case((5,), expected=5 + add)),
        hidden=1,
        split=split,
    )
    return dataclasses.replace(task, **changes)


@pytest.fixture
def teacher() -> type[Teacher]:
    return Teacher
