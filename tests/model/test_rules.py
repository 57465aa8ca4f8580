"""The rules of `diffusion`: what they let through, which of them cannot be."""

from __future__ import annotations

import pytest
import torch

from model.errors import RequestError
from model.request import GenerateRequest
from model.rules import Rules


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
    ],
)
def test_bad_rules(changes, message):
    request = GenerateRequest(prompt="x", decode="diffusion", **{"block": 8, **changes})
    with pytest.raises(RequestError, match=message):
        Rules.of(request)


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
