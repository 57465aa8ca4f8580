"""The bench's arithmetic and its groups, on the tiny model."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from model import bench
from model.cli import cli


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))


def test_peers_alternate() -> None:
    order: list[str] = []
    mine, theirs = bench.alternate(lambda: order.append("a"), lambda: order.append("b"), 3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert len(mine) == len(theirs) == 3


@given(values=st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9), factor=st.floats(0.5, 2))
def test_spread_does_not_depend_on_the_unit(values: list[float], factor: float) -> None:
    middle, spread = bench.summary(values)
    scaled, same = bench.summary([value * factor for value in values])
    assert min(values) <= middle <= max(values)
    assert math.isclose(scaled, middle * factor, rel_tol=1e-9)
    assert math.isclose(spread, same, rel_tol=1e-6, abs_tol=1e-9)


def test_every_group_has_a_title() -> None:
    assert {"ar", "forward", "fp8"} <= bench.groups().keys()
    assert all(bench.groups().values())


def test_slow_groups_wait_to_be_asked() -> None:
    assert set(bench.groups()) - set(bench.by_default()) == {"compiled", "vllm"}


def test_a_row_that_fails_says_why_and_where() -> None:
    def measure() -> Iterator[bench.Row]:
        yield bench.Row("one", 1.0, "ms")
        raise ValueError("out of\n  luck")

    one, two = bench.guarded("both", measure)
    assert (one.name, one.error) == ("one", "")
    assert (two.name, two.value) == ("both", None)
    assert two.error.startswith("ValueError: out of luck (test_bench.py:")


def tiny_bench(*arguments: str) -> Result:
    fixed = ["bench", "--model", "tiny", "--device", "cpu", "--quick", "--repeats", "1", "--json"]
    return CliRunner().invoke(cli, [*fixed, *arguments], catch_exceptions=False)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_a_group_that_fails_leaves_the_others(tmp_path: Path) -> None:
    picture = tmp_path / "width.png"
    result = tiny_bench("--only", "vllm,width", "--plot", str(picture))
    assert result.exit_code == 1
    first, *others = json.loads(result.stdout)["rows"]
    assert first["group"] == "vllm"
    assert first["value"] is None
    assert "vLLM is not installed here" in first["error"]
    assert [row["name"] for row in others[:3]] == ["pass of 1", "pass of 2", "pass of 4"]
    assert not any(row["error"] for row in others)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "pass of 4 " in result.stderr


def test_a_plot_needs_its_group() -> None:
    result = tiny_bench("--only", "fp8", "--plot", "width.png")
    assert result.exit_code == 2
    assert "--plot draws the group width" in result.stderr


def test_heads_that_are_not_there_fail_the_groups_that_need_them() -> None:
    result = tiny_bench("--only", "width,fp8", "--heads", "nowhere")
    assert result.exit_code == 1
    first, *others = json.loads(result.stdout)["rows"]
    assert "no heads at nowhere" in first["error"]
    assert not any(row["error"] for row in others)


@pytest.mark.parametrize("group", ["ar", "compiled", "forward", "fp8", "generate"])
def test_rows_of_a_group(group: str) -> None:
    result = tiny_bench("--only", group, "--max-tokens", "12")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert {"cpu", "torch", "date", "threads"} <= found["machine"].keys()
    assert found["rows"]
    for row in found["rows"]:
        assert {"name", "value", "unit", "beside", "ratio", "spread"} <= row.keys()
        assert row["ratio"] == pytest.approx(row["value"] / row["beside"], rel=1e-3)
    if group == "ar":
        same = next(row for row in found["rows"] if row["name"] == "ar_same_tokens")
        assert same["ratio"] == 1
    if group in ("compiled", "generate"):
        assert found["rows"][-1]["name"] == "the same answer"
        assert found["rows"][-1]["ratio"] == 1
