from __future__ import annotations

import logging

import pytest

from agent.events import ModelCalled
from agent.text_output import open_output
from model.request import Message


def test_what_the_model_package_says_goes_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    out = open_output("text")
    with out.reporting_errors():
        out.show(ModelCalled("plan", 1, (Message("user", "do"), Message("assistant", "1."))))
        logging.getLogger("model").warning("measuring")
    assert capsys.readouterr().out.endswith("Plan\n1.\nmeasuring\n")
