"""The EvalPlus chat prompt, word for word, so that scores compare with published ones.

The wording, the stop strings and the open code fence are those of evalplus 0.3.1 (`evalplus.codegen`,
`evalplus.provider.utility.make_raw_chat_prompt`); a test renders both and compares the text.
"""

from __future__ import annotations

from model.request import Message

INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem "
    "in a markdown code block:"
)
RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem "
    "and passes corresponding tests:"
)
STOP = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(", "\n```\n")


def evalplus_messages(prompt: str) -> tuple[Message, Message]:
    """A user turn with the problem and an assistant turn that opens a code block, to be continued."""
    return (
        Message("user", f"{INSTRUCTION}\n```\n{prompt.strip()}\n```\n"),
        Message("assistant", f"{RESPONSE}\n```python\n"),
    )
