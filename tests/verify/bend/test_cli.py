"""The `bend` command: real runs side by side, and scripts that behave as Bend and HVM do at their worst."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from verify.bend import cli, doctor
from verify.bend.toolchain import Unavailable, toolchain
from verify.limits import Limits
from verify.verdict import Status

GOOD = "printf 'Result: [3]\\n- ITRS: 12\\n- TIME: 0.00s\\n- MIPS: 1.25\\n\\n'"
LIMITS = Limits(wall_s=30.0, cpu_s=10.0, mem_mb=256, out_bytes=4096)


class Fake:
    """A `bend` and an `hvm` that are shell scripts in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bend" / "bin"
        self.bin.mkdir(parents=True)
        self.write("hvm", "hvm 2.0.22", "true")

    def write(self, name: str, version: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; exit 0; fi\n{body}\n')
        path.chmod(0o755)

    def bend(self, body: str, version: str = "bend-lang 0.2.38") -> None:
        self.write("bend", version, body)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return Fake(tmp_path)


def run(**limits: float) -> cli.Run:
    return cli.run(
        "source", Limits(**{**{k: getattr(LIMITS, k) for k in LIMITS.__slots__}, **limits}), boxed=False
    )  # type: ignore[arg-type]


def test_exact_output(fake: Fake) -> None:
    fake.bend(GOOD)
    found = run()
    assert (found.status, found.result, found.interactions) == (Status.PASSED, "[3]", 12)


def test_the_gpu_says_what_it_leaked(fake: Fake) -> None:
    """As printed by hvm 2.0.22 run-cu on an H100."""
    fake.bend(
        "printf 'Result: (1024, 1024)\\n- ITRS: 2680792\\n- LEAK: 9\\n- TIME: 0.01s\\n- MIPS: 184.86\\n\\n'"
    )
    found = run()
    assert (found.status, found.result, found.interactions) == (Status.PASSED, "(1024, 1024)", 2680792)


@pytest.mark.parametrize(
    "body",
    [
        "printf 'Result: [3]\\n'",
        f"echo hello; {GOOD}",
        f"{GOOD}; {GOOD}",
        f"{GOOD}; echo more",
        "printf 'Result: [3]\\nResult: [4]\\n- ITRS: 1\\n- TIME: 0.00s\\n- MIPS: 1.0\\n'",
        "true",
    ],
)
def test_anything_else_is_bad_output(fake: Fake, body: str) -> None:
    fake.bend(body)
    assert run().status is Status.BAD_OUTPUT


@pytest.mark.parametrize(
    ("stderr", "status"),
    [
        ("Errors:\\nHVM output had no result (An error likely occurred)", Status.RUNTIME_ERROR),
        ("Errors:\\nIn definition f:\\n  Type Error: Expected ...", Status.TYPE_ERROR),
        ("\\033[4mErrors:\\033[0m\\nIn f:\\n  Can'\"'\"'t unify a and b.", Status.TYPE_ERROR),
        ("Errors:\\n- expected: newline", Status.COMPILE_ERROR),
        ("Errors:\\nFailed to start hvm process.\\nNo such file", Status.UNAVAILABLE),
        ("Errors:\\n- expected: newline\\n 3 | Failed to start hvm process", Status.COMPILE_ERROR),
    ],
)
def test_statuses_by_message(fake: Fake, stderr: str, status: Status) -> None:
    fake.bend(f"printf '{stderr}\\n' >&2; exit 1")
    assert run().status is status


def test_clone_error_comes_with_exit_code_0(fake: Fake) -> None:
    fake.bend("echo 'ERROR: attempt to clone a non-affine global reference.'")
    assert run().status is Status.RUNTIME_ERROR


def test_output_flood_is_cut_and_killed(fake: Fake) -> None:
    fake.bend("while :; do echo OOM; done")
    assert run(out_bytes=1000).status is Status.OUTPUT_LIMIT


def test_a_hang_leaves_no_process(fake: Fake, tmp_path: Path) -> None:
    fake.bend(f"/bin/sh -c 'echo $$ > {tmp_path}/pid; exec /bin/sleep 60' & /bin/sleep 60")
    found = run(wall_s=2.0)
    assert found.status is Status.TIMEOUT
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


def test_more_interactions_than_fuel(fake: Fake) -> None:
    fake.bend(GOOD)
    assert run(fuel=11).status is Status.FUEL


def test_the_environment_is_cleared(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    fake.bend("/usr/bin/env >&2; exit 1")
    found = run()
    assert "s3cret" not in found.stderr
    assert "HVM_BIN=" in found.stderr


def test_bend_2_is_recognised_and_refused(fake: Fake) -> None:
    fake.bend("exit 1", version="error: unknown option --version")
    with pytest.raises(Unavailable, match="Bend 2"):
        toolchain()
    assert run().status is Status.UNAVAILABLE
    assert not any(row.works for row in doctor.probe())


def test_nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = run()
    assert found.status is Status.UNAVAILABLE
    assert "verify install bend" in found.detail


def test_run_cu_is_not_spawned_without_a_gpu(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{fake.bin}:/usr/bin:/bin")
    fake.write("nvidia-smi", "", "exit 1")
    fake.bend(f"/usr/bin/touch {tmp_path}/spawned")
    found = cli.run("source", LIMITS, level="run-cu")
    assert found.status is Status.UNAVAILABLE
    assert "GPU" in found.detail
    assert not (tmp_path / "spawned").exists()


@pytest.mark.parametrize("level", ["run-c"])
def test_levels_with_io_only_run_in_the_box(fake: Fake, level: cli.Level) -> None:
    fake.bend(GOOD)
    assert cli.run("source", LIMITS, level=level, boxed=False).status is Status.UNAVAILABLE


@pytest.mark.bend
def test_eight_at_once_do_not_mix_results() -> None:
    def one(number: int) -> str:
        return cli.run(f"def main() -> u24:\n  return {number} * 2\n", Limits()).result

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(16))) == [str(2 * n) for n in range(16)]


@pytest.mark.bend
def test_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    assert cli.run("def main() -> u24:\n  return 42\n", Limits()).result == "42"
    assert os.listdir(tmp_path) == []


@pytest.mark.bend
def test_probe_computes() -> None:
    rows = {row.backend: row for row in doctor.probe()}
    assert rows["bend run-rs"].works, rows
    assert rows["bend worker"].works, rows
    assert all(row.works or row.remedy for row in rows.values())


@pytest.mark.parametrize(
    ("interactions", "mips", "seconds", "eval_ms"),
    [
        (684_703_704, "10929.00", "0.06", 62.65),
        (12, "1.25", "0.00", 0.0096),
        (12, "inf", "0.03", 30.0),
        (0, "NaN", "0.00", 0.0),
        (5, "0.00", "0.02", 20.0),
        (5, "a.b", "0.02", 20.0),
    ],
)
def test_time_is_read_from_the_rate(interactions: int, mips: str, seconds: str, eval_ms: float) -> None:
    assert cli._eval_ms(interactions, mips, seconds) == pytest.approx(eval_ms, rel=1e-3)
