"""Next-token loss of the AR head over answer tokens; tokens that lay out a program weigh more
(`scaffold`)."""

from __future__ import annotations

from typing import Any

import numpy as np

SCAFFOLD_WORDS = (
    "def",
    "class",
    "if",
    "elif",
    "else",
    "for",
    "while",
    "return",
    "import",
    "from",
    "with",
    "try",
    "except",
)


def scaffold_ids(encode: Any) -> frozenset[int]:
    """Ids of the scaffold words, with and without a leading space, where each is one token."""
    forms = [encode(prefix + word) for word in SCAFFOLD_WORDS for prefix in ("", " ")]
    return frozenset(ids[0] for ids in forms if len(ids) == 1)


def targets(ids_RT: Any, answer_RT: Any, ends_RT: Any, scaffold: Any, weight: float) -> tuple[Any, Any]:
    """(target, weight) of each clean state; weight 0 where the next token is not part of an answer."""
    T = ids_RT.shape[1]
    target_RT = np.full_like(ids_RT, -1)
    target_RT[:, :-1] = ids_RT[:, 1:]
    known_RT = np.zeros(ids_RT.shape, np.bool_)
    known_RT[:, :-1] = answer_RT[:, 1:] & (np.arange(1, T) < ends_RT[:, :-1])
    weight_RT = np.where(np.isin(target_RT, scaffold), weight, 1.0) * known_RT
    return np.where(known_RT, target_RT, -1), weight_RT.astype(np.float32)
