"""What a check may use. Every limit has its own status when it is reached (see verify.verdict.Status)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps for one check.

    wall_s, cpu_s: seconds for the whole check (TIMEOUT). mem_mb: memory of all its processes (OOM).
    out_bytes: stdout, stderr and encoded results, each (OUTPUT_LIMIT). processes: tasks alive at once.
    disk_mb: private scratch space. fuel: HVM interactions (FUEL). code_bytes, cases: size of the request
    itself (UNSUPPORTED when larger).
    """

    wall_s: float = 5.0
    cpu_s: float = 5.0
    mem_mb: int = 512
    out_bytes: int = 65_536
    processes: int = 32
    disk_mb: int = 16
    fuel: int = 5_000_000
    code_bytes: int = 65_536
    cases: int = 4_096
