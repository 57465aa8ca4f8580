"""What a measurement ran on, for the records beside it."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Date, processor, threads, memory, GPU and versions of this machine."""
    import psutil
    import torch

    gpu = None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = f"{properties.name} ({properties.total_memory / 1e9:.0f} GB)"
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": gpu,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load_1min": round(psutil.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
