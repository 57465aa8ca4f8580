"""Reads one abuse case: a program with a header of `# key: value` lines. The format is in README.md."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.cases import parse_cases, parse_program_cases
from verify.limits import Limits
from verify.request import Case, CheckRequest, CommandCheck, FunctionCheck, ProgramCheck, TestSourceCheck
from verify.verdict import Status

FOLDER = Path(__file__).parent
_DEFAULT_CASES = '[{"args": [1], "expected": 2}, {"args": [20], "expected": 21}]'
_PROGRAM_CASES = '[{"stdin": "1\\n", "stdout": "2\\n"}]'
_LIMITS = '{"wall_s": 3, "cpu_s": 2, "mem_mb": 256}'
_TEST = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(20) == 21\n"
_PYTEST = "from candidate import f\n\n\ndef test_f():\n    assert f(1) == 2\n"
_KEYS = frozenset(("why", "allow", "entry", "cases", "limits", "kind", "backends", "leak", "repeat"))


@dataclass(frozen=True, slots=True)
class AbuseCase:
    """One hostile program. `allow`: the statuses that are right for it."""

    name: str
    lang: str
    source: str
    header: dict[str, str]

    @property
    def why(self) -> str:
        return self.header["why"]

    @property
    def allow(self) -> frozenset[Status]:
        return frozenset(Status(word) for word in self.header["allow"].split())

    @property
    def repeat(self) -> int:
        return int(self.header.get("repeat", "1"))

    @property
    def leaks(self) -> tuple[str, ...]:
        return tuple(filter(None, ("ESCAPED", self.header.get("leak", ""))))

    def suits(self, backend: str) -> bool:
        return backend in self.header.get("backends", backend).split()

    def filled(self, words: dict[str, str]) -> AbuseCase:
        """With `{{WORD}}` replaced in program and header."""

        def fill(text: str) -> str:
            for name, value in words.items():
                text = text.replace("{{" + name + "}}", value)
            return text

        header = {name: fill(value) for name, value in self.header.items()}
        return dataclasses.replace(self, source=fill(self.source), header=header)

    def request(self, workspace: Path) -> CheckRequest:
        """The check; a command's files are written to `workspace`."""
        limits = Limits(**json.loads(self.header.get("limits", _LIMITS)))
        entry = self.header.get("entry", "f")
        match self.header.get("kind", "function"):
            case "function":
                lang: Any = self.lang
                return FunctionCheck(self.source, entry, self._cases(), lang, limits)
            case "test":
                return TestSourceCheck(self.source, entry, _TEST, limits=limits)
            case "program":
                cases = parse_program_cases(json.loads(self.header.get("cases", _PROGRAM_CASES)), self.name)
                return ProgramCheck({"main.py": self.source}, "main.py", cases, limits=limits)
            case "command":
                workspace.mkdir(parents=True, exist_ok=True)
                (workspace / "candidate.py").write_text(self.source)
                (workspace / "test_candidate.py").write_text(_PYTEST)
                return CommandCheck(workspace, ("pytest", "-q", "-p", "no:cacheprovider"), limits=limits)
            case kind:
                raise ValueError(f"{self.name}: unknown kind {kind!r}")

    def _cases(self) -> tuple[Case, ...]:
        return parse_cases(json.loads(self.header.get("cases", _DEFAULT_CASES)), self.name)


def read_case(path: Path) -> AbuseCase:
    """Raises ValueError naming the file and what its header lacks."""
    header: dict[str, str] = {}
    key = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if line.startswith("#   ") and key:
            header[key] += " " + line[4:].strip()
            continue
        key, _, value = line[1:].strip().partition(":")
        if key not in _KEYS:
            raise ValueError(f"{path.name}: unknown header key {key!r}")
        header[key] = value.strip()
    missing = {"why", "allow"} - set(header)
    if missing:
        raise ValueError(f"{path.name}: the header lacks {', '.join(sorted(missing))}")
    lang = "bend" if path.suffix == ".bend" else "python"
    case = AbuseCase(path.stem, lang, path.read_text(encoding="utf-8"), header)
    assert case.allow
    return case


def read_all(lang: str | None = None) -> list[AbuseCase]:
    """All cases, Python first, by name."""
    cases = []
    for kind, pattern in (("python", "*.py"), ("bend", "*.bend")):
        if lang in (None, kind):
            cases += [read_case(path) for path in sorted((FOLDER / kind).glob(pattern))]
    return cases
