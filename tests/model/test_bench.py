"""The bench's arithmetic and its groups, on the tiny model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
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


@pytest.mark.parametrize("group", ["ar", "forward", "fp8"])
def test_rows_of_a_group(group: str) -> None:
    arguments = [
        "bench",
        "--only",
        group,
        "--model",
        "tiny",
        "--device",
        "cpu",
        "--quick",
        "--repeats",
        "1",
        "--json",
    ]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    found = json.loads(result.stdout)
    assert {"cpu", "torch", "date", "threads"} <= found["machine"].keys()
    assert found["rows"]
    for row in found["rows"]:
        assert {"name", "value", "unit", "beside", "ratio", "spread"} <= row.keys()
        assert row["ratio"] == pytest.approx(row["value"] / row["beside"], rel=1e-3)
    if group == "ar":
        same = next(row for row in found["rows"] if row["name"] == "ar_same_tokens")
        assert same["ratio"] == 1
