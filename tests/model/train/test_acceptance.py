"""Prompt lookup replayed on known answers: what the decoder `lookup` accepts, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.samples import Sample, Samples
from model.train import acceptance, lengths
from model.train import restore as edits
from model.train.acceptance import Acceptance, Marks, joined, replay, summary
from model.train.copied import Copied, copies, lookup
from model.train.load import load_forward
from tests.model.tiny_engines import make_engine
from tests.model.train.compiled_shapes import CompiledShapes
from tests.model.train.tiny_run import counting


def sample(prompt: list[int], answer: list[int]) -> Sample:
    return Sample(np.array(prompt, np.int32), np.array(answer, np.int32))


def test_a_copy_is_accepted_up_to_where_it_parts() -> None:
    found = lookup(sample([1, 2, 3, 4, 5], [2, 3, 9, 4, 5]), most=4)
    # 5 has no successor in the prompt; behind 2 comes 3, behind 3 no 4.
    assert found.lengths.tolist() == [0, 1, 0, 0, 1, 0]
    assert found.match.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_repetition_goes_on_beyond_its_own_end() -> None:
    one = sample([7, 8], [7, 8, 7, 8, 7, 8])
    assert lookup(one, most=31).lengths.tolist() == [0, 5, 4, 3, 2, 1, 0]
    assert lookup(one, most=2).lengths.tolist() == [0, 2, 2, 2, 2, 1, 0]
    # The first token comes from the prompt's own pass; one more pass yields the other five.
    assert replay([lookup(one, 31).lengths[1:]], [copies(one)])["all"] == 5.0


def test_the_summary_sets_lookup_beside_the_heads() -> None:
    one = sample(list(range(20)), [*range(3, 15), 99, *range(40, 50)])
    wrong = np.zeros((len(one.answer), 4), np.bool_)
    found = summary([one], [Marks(wrong, wrong, wrong, np.zeros((*wrong.shape, 2), np.float32))], 4)
    assert found["tpf_refined"]["all"] == 1.0
    assert found["tpf_lookup"]["copied"] > 2 > found["tpf_lookup"]["new"]
    assert len(found["lookup_by_position"]) == len(found["by_position"]) == 3
    # Twelve copied tokens: eleven drafts with a right first token, the twelfth's is wrong.
    assert found["lookup_by_position"] == [round(11 / 12, 4), round(10 / 11, 4), round(9 / 10, 4)]
    assert found["lookup_drafted"] == round(12 / 23, 4)


def test_a_sibling_goes_on_behind_a_miss_that_it_has_right() -> None:
    right = np.array([[0, 1, 1, 0, 1, 1, 0, 1]] * 2, np.bool_)
    second = np.zeros_like(right)
    second[1, 3] = True
    sure = np.full((2, 8, 2), (0.9, 0.05), np.float32)
    sure[:, 3] = 0.5, 0.4  # the place where a sibling promises most
    marks = Marks(right, right, second, sure)
    # The second anchor: two right drafts, the sibling's token, two right ones behind it.
    assert joined(marks, 1).tolist() == [2, 5]
    sure[:, 3] = 0.99, 0.001
    assert joined(marks, 1).tolist() == [2, 2]


def test_a_trusted_copy_is_the_line_and_the_draft_goes_on_beside_it() -> None:
    """Anchors of a draft with 12 right tokens and one with 2, then the miss whose second choice is right."""
    right = np.ones((4, 16), np.bool_)
    right[:2, 13], right[2:, 3] = False, False
    second = ~right
    sure = np.full((4, 16, 2), (0.9, 0.05), np.float32)
    sure[:, 3] = 0.5, 0.4
    marks = Marks(right, right, second, sure)
    copied = Copied(np.array([0, 15, 3, 15, 2]), np.array([0, 1, 8, 5, 6]))
    # One token that occurred before, and 12 that the draft says too; a copy that the draft goes on from.
    assert joined(marks, 0, copied).tolist() == [15, 3, 2, 2]
    assert joined(marks, 1, copied).tolist() == [15, 3 + 8, 2 + 1 + 7, 2]
    # A copy that parts from the draft where both are wrong leaves the draft's second sibling.
    assert joined(marks, 2, copied).tolist() == [15, 3 + 8, 2 + 1 + 7, 2 + 1 + 7]


def test_measuring_compiles_few_passes_whatever_the_samples_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of `model acceptance` and `model restore` over files of several sizes, in one process."""
    engine = make_engine(tmp_path)
    folder = engine.weights._heads_folder
    assert folder is not None
    forward = load_forward(folder, str(engine.folder))
    forward.flex = True
    shapes = CompiledShapes(monkeypatch)
    monkeypatch.setattr(acceptance, "DRAFT_TOKENS", 96)
    monkeypatch.setattr(lengths, "ROW_TOKENS", 160)
    monkeypatch.setattr(edits, "ROW_TOKENS", 96)
    for count in (2, 9):
        some = Samples(counting(count).items)
        for block in (16, 32):
            assert Acceptance(forward, block, row_tokens=160).measure(some)["samples"] == count
        lengths.length_figures(forward, some)
        assert edits.restore(forward, some, confidence=0.0)["answers"] == count
    # A clean pass for acceptance and length, one for edits; a draft pass a block size, one for edits.
    assert (len(shapes.masks), len(shapes.passes)) == (5, 5)
