"""Nothing that a terminal obeys gets through; secrets do not get into records."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from agent.redact import Redactor
from agent.untrusted import clean, one_line, tail


def test_known_tricks() -> None:
    assert clean("a\x1b[31mred\x1b[0m\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c") == "aredbc"
    assert clean("over\rwrite\x08\x07\x9b1m") == "over\nwrite1m"
    assert clean("tab\tand\nnewline") == "tab\tand\nnewline"
    assert clean("\u202eright to left\u2066") == "right to left"
    assert clean("[bold]markup stays text[/bold]") == "[bold]markup stays text[/bold]"


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    for sign in clean(text):
        assert sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cs")
    assert clean(clean(text)) == clean(text)


@given(st.text(), st.integers(2, 50))
def test_one_line_and_tail_are_bounded(text: str, width: int) -> None:
    assert len(one_line(text, width)) <= width
    assert "\n" not in one_line(text, width)
    assert len(tail(text, 5, width)) <= width
    assert tail(text, 5, width).count("\n") <= 4


def test_secrets_of_the_environment_and_known_formats() -> None:
    redact = Redactor({"API_KEY": "s3cr3t-value-1", "HOME": "/home/me", "SHORT_TOKEN": "abc"})
    value = {"a": ["x s3cr3t-value-1 y", 3], "/home/me": "abc"}
    assert redact(value) == ({"a": ["x [redacted:API_KEY] y", 3], "/home/me": "abc"}, True)
    assert redact({"a": "nothing"}) == ({"a": "nothing"}, False)
    for secret in (
        "sk-" + "a1" * 20,
        "ghp_" + "b2" * 18,
        "hf_" + "c3" * 17,
        "AKIA" + "D4" * 8,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ):
        assert redact.text(f"before {secret} after") == "before [redacted] after"
    assert redact.text("https://user:pass@example.org") == "https://[redacted]@example.org"
    assert redact.text("Authorization: Bearer abcdefghijklmnop") == "Authorization: Bearer [redacted]"


def test_the_longest_secret_wins() -> None:
    redact = Redactor({"A_KEY": "password", "B_KEY": "password-and-more"})
    assert redact.text("password-and-more") == "[redacted:B_KEY]"
