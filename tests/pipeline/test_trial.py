"""What stops a run before its pass, and what `force` lets through."""

from pathlib import Path

import numpy as np
import pytest
from engine_helpers import random_samples

from oga_core.errors import OgaError
from oga_core.gradients.options import PassOptions
from oga_core.pipeline.checks import Check
from oga_core.pipeline.option_checks import check_options
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.request import pass_options
from oga_core.pipeline.trial import check_needs, check_softmax, stop_on_failure
from oga_core.tasks.losses import PLAIN

ORDER = Check("label_order", "failure", "The classes are in another order.")
FINITE = Check("finite", "failure", "The outputs are not finite.")
WARNING = Check("memorised", "warning", "The model has memorised.")


def test_force_lets_an_order_of_classes_pass_and_nothing_else():
    stop_on_failure([WARNING])
    stop_on_failure([ORDER, WARNING], force=True)
    for checks, force in (([ORDER], False), ([FINITE], True), ([ORDER, FINITE], True)):
        with pytest.raises(OgaError) as caught:
            stop_on_failure([*checks, WARNING], force=force)
        assert str(caught.value) == " ".join(check.message for check in checks)
        assert [check["name"] for check in caught.value.detail["checks"]][-1] == "memorised"


def test_an_unknown_precision_is_refused_before_a_worker_is_started():
    with pytest.raises(OgaError, match=r"Unknown precision 'int8'\. Choose one of: float32, tf32"):
        check_options(Path(__file__), None, ScoreOptions(precision="int8"))


def test_scores_of_a_language_models_rows_are_refused_for_classes():
    with pytest.raises(OgaError, match="'end_loss' is of a language model's rows, which these are not"):
        check_needs({"end_loss": ["end_losses"]}, random_samples(4, 2), PassOptions(), loss=PLAIN, has_views=False)


@pytest.mark.parametrize(("scores", "asked"), [((), False), (("loss",), False), (("instruction_difficulty",), True)])
def test_losses_without_the_prompt_are_taken_for_who_asks_for_them(scores, asked):
    assert pass_options(ScoreOptions(scores=scores))["without_prompt"] is asked


def test_a_softmax_at_the_end_is_seen_and_its_logarithm_is_none():
    logits = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert [check.name for check in check_softmax(chances)] == ["softmax"]
    for others in (logits, np.log(chances), np.abs(logits), np.ones((20, 1), dtype=np.float32)):
        assert check_softmax(others) == []
