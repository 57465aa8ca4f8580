"""What a check may use. Every limit has its own status when it is reached (see verify.verdict.Status)."""

from __future__ import annotations

from dataclasses import dataclass, fields

# More is no limit: what the kernel counts with (milliseconds, bytes, process ids) does not hold it.
_MOST = {"wall_s": 1_000_000, "cpu_s": 1_000_000, "mem_mb": 1 << 30, "disk_mb": 1 << 30, "processes": 1 << 22}
_MOST_ELSE = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps for one check.

    wall_s, cpu_s: seconds for the whole check (TIMEOUT). mem_mb: memory of all its processes (OOM).
    out_bytes: stdout, stderr and encoded results, each (OUTPUT_LIMIT). processes: tasks alive at once.
    disk_mb: private scratch space. fuel: HVM interactions (FUEL). code_bytes, cases: size of the request
    itself (UNSUPPORTED when larger). Raises ValueError for a value that is no limit: not above 0 (`nan`
    neither), or beyond what the system can count.
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

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name, _MOST_ELSE)
            if not 0 < value <= most:
                raise ValueError(
                    f"the limit {field.name} is {value}, a number above 0 and at most {most:,} is wanted"
                )
