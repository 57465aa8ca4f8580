"""Our prompt is EvalPlus's, character for character."""

from __future__ import annotations

import pytest

from evals.benchmark import open_benchmark
from evals.prompt import INSTRUCTION, RESPONSE, STOP


class Qwen:
    """A tokenizer with Qwen's chat layout; evalplus renders through it."""

    chat_template = "qwen"

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool) -> str:
        return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def test_prompt_is_that_of_evalplus() -> None:
    utility = pytest.importorskip("evalplus.provider.utility")
    benchmark = open_benchmark("humaneval")
    assert len(benchmark.tasks) == 164
    for task in list(benchmark.tasks.values())[::20]:
        theirs = utility.make_raw_chat_prompt(task.prompt.strip() + "\n", INSTRUCTION, RESPONSE, Qwen())
        user, assistant = benchmark.messages(task)
        ours = f"<|im_start|>user\n{user.content}<|im_end|>\n<|im_start|>assistant\n{assistant.content}"
        assert ours == theirs
    assert list(STOP) == [*utility.EOS[:6], "\n```\n"]


def test_wording_is_that_of_evalplus_codegen() -> None:
    codegen = pytest.importorskip("evalplus.codegen")
    import inspect

    source = inspect.getsource(codegen.run_codegen)
    assert f'"{INSTRUCTION}"' in source
    assert f'"{RESPONSE}"' in source
