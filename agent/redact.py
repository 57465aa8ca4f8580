"""Secrets out of records: values of secret-looking environment variables and well-known key formats.

redact = Redactor(os.environ)
record, found = redact({"messages": [...]})
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|COOKIE|SESSION_ID|DSN", re.IGNORECASE)
_MIN_LENGTH = 8  # shorter values are words that occur by chance
_FORMATS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | \b(?:sk|pk|rk)-[A-Za-z0-9_-]{20,}               # API keys in OpenAI's and Anthropic's style
    | \bgh[pousr]_[A-Za-z0-9]{30,} | \bgithub_pat_\w{30,}
    | \bglpat-[\w-]{20,} | \bhf_[A-Za-z0-9]{30,} | \bnpm_[A-Za-z0-9]{30,} | \bpypi-[\w-]{40,}
    | \bxox[abprs]-[\w-]{10,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b | \bAIza[\w-]{35}
    | \beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}       # JSON web tokens
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                  # user:password in a URL
    | (?<=\bBearer\ )[\w.~+/-]{16,}=*
    """,
    re.VERBOSE | re.DOTALL,
)


class Redactor:
    """Replaces secrets in text and in nested JSON values with `[redacted]` or `[redacted:VARIABLE]`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = {v: k for k, v in environment.items() if _SECRET_NAME.search(k) and len(v) >= _MIN_LENGTH}
        self._names = found
        # The longest first: one secret may be the beginning of another.
        longest_first = sorted(found, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def text(self, text: str) -> str:
        if self._values:
            text = self._values.sub(lambda match: f"[redacted:{self._names[match[0]]}]", text)
        return _FORMATS.sub("[redacted]", text)

    def __call__(self, value: Any) -> tuple[Any, bool]:
        """The value without secrets, and whether there were any. Keys of objects are left alone."""
        if isinstance(value, str):
            clean = self.text(value)
            return clean, clean != value
        if isinstance(value, dict):
            pairs = {k: self(v) for k, v in value.items()}
            return {k: v for k, (v, _) in pairs.items()}, any(found for _, found in pairs.values())
        if isinstance(value, list):
            items = [self(v) for v in value]
            return [v for v, _ in items], any(found for _, found in items)
        return value, False
