"""The rules of `diffusion`: what they let through, which of them cannot be."""

from __future__ import annotations

import pytest
import torch

from model.errors import RequestError
from model.judge import Judge
from model.request import GenerateRequest
from model.rules import CONFIDENCE, LENIENCE, WINDOW, Rules


def test_the_prefix_rule_stops_at_the_first_doubt():
    log = torch.tensor([[9.0, 0, 0], [8.0, 0, 0], [1.0, 0.9, 0.8], [9.0, 0, 0]]).log_softmax(-1)
    sure = log.exp().amax(-1).tolist()
    assert Rules(threshold=0.9).beginning(log, sure) == [0, 1]
    assert Rules(threshold=0.9).beginning(log[2:], sure[2:]) == [0]
    assert Rules(rule="entropy", bound=0.1).beginning(log, sure) == [0, 1]
    assert Rules(rule="entropy", bound=2.0).beginning(log, sure) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": 4}, "8 to 128"),
        ({"block": 256}, "8 to 128"),
        ({"extra": {"rule": "luck"}}, "rule"),
        ({"extra": {"flight": 9}}, "flight"),
        ({"extra": {"commit": "never"}}, "commit"),
        ({"extra": {"commit": "prefix", "delay": 1}}, "need commit=block"),
        ({"extra": {"commit": "lenient", "rule": "entropy"}}, "rule need commit=prefix or block"),
        ({"extra": {"commit": "lenient", "scaffold": 0}}, "scaffold need commit=prefix or block"),
        ({"extra": {"commit": "prefix", "window": 2}}, "window needs commit=lenient"),
        ({"extra": {"window": -1}}, "window is -1"),
    ],
)
def test_bad_rules(changes, message):
    request = GenerateRequest(prompt="x", decode="diffusion", **{"block": 8, **changes})
    with pytest.raises(RequestError, match=message):
        Rules.of(request)


def test_what_a_request_says_picks_who_decides():
    def commit(**extra):
        return Rules.of(GenerateRequest(prompt="x", decode="diffusion", extra=extra))

    assert commit().judge == Judge(LENIENCE, WINDOW)
    assert commit(window=0).judge == Judge(LENIENCE, 0)
    assert commit(commit="lenient").judge == Judge(LENIENCE, WINDOW)
    assert Rules.of(GenerateRequest(prompt="x", threshold=0.7)).judge == Judge(0.7, WINDOW)
    for extra, wanted in (
        ({"rule": "entropy"}, "prefix"),
        ({"scaffold": 0}, "prefix"),
        ({"flight": 2}, "block"),
        ({"commit": "block", "scaffold": 4}, "block"),
    ):
        assert (commit(**extra).commit, commit(**extra).threshold) == (wanted, CONFIDENCE)
        assert commit(**extra).judge is None


def test_the_record_tells_rules_apart():
    def record(**given):
        return Rules.of(GenerateRequest(prompt="x", decode="diffusion", **given)).record

    assert record() == {"commit": "lenient", "threshold": LENIENCE, "window": WINDOW}
    assert record(block=8) == record(), "who judges is what decides, the block is the planner's"
    free = [record(extra=extra) for extra in ({"rule": "threshold"}, {"rule": "entropy"}, {"flight": 2})]
    free.append(record(block=8, extra={"rule": "threshold"}))
    assert len({str(one) for one in (record(), record(threshold=0.5), *free)}) == 6


def test_entropy_rule_spends_its_bound():
    logits = torch.tensor([[9.0, 0, 0], [1.0, 0.9, 0.8], [8.0, 0, 0], [0.0, 0, 0]])
    log = logits.log_softmax(-1)
    sure = log.exp().amax(-1).tolist()
    for bound, wanted in ((0.1, [0, 2]), (1.3, [0, 1, 2]), (9.0, [0, 1, 2, 3]), (0.0, [0])):
        rules = Rules(rule="entropy", bound=bound, commit="block")
        assert rules.visible(log, sure, [0, 1, 2, 3], [0.0] * 4, [False] * 4) == wanted


def test_what_waits_stays_masked_while_anything_else_can_be_chosen():
    log = torch.tensor([[9.0, 0, 0], [8.0, 0, 0]]).log_softmax(-1)
    sure = log.exp().amax(-1).tolist()
    rules = Rules(threshold=0.9)
    assert rules.visible(log, sure, [0, 1], [0.0] * 2, [True, False]) == [1]
    assert rules.visible(log, sure, [0], [0.0] * 2, [True, False]) == [0]
    assert rules.visible(log, sure, [], [0.0] * 2, [True, False]) == []
