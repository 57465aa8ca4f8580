"""Where evals keeps what outlives a run: expected outputs and, without `--out`, the runs themselves."""

from __future__ import annotations

import os
from pathlib import Path


def evals_home() -> Path:
    """`$TRIHEAD_HOME/evals`, else the platform's data folder."""
    home = os.environ.get("TRIHEAD_HOME")
    if home:
        return Path(home).expanduser() / "evals"
    import platformdirs

    return Path(platformdirs.user_data_dir("trihead")) / "evals"
