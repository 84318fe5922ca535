"""Leave-one-out residuals against refitting without each row."""

import numpy as np
import pytest

from oga_core.scores.language.residuals import LARGEST_LEVERAGE, PENALTY, PromptRegression, prompt_inputs, unit_rows


@pytest.fixture
def states():
    return np.random.default_rng(0).normal(size=(30, 4)).astype(np.float16)


def test_inputs_are_one_and_unit_states_less_their_mean(states):
    inputs = prompt_inputs(states, 3 * states)
    assert inputs.shape == (30, 9)
    np.testing.assert_allclose(inputs[:, 0], 1)
    np.testing.assert_allclose(inputs[:, 1:].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs[:, 1:5], inputs[:, 5:], atol=1e-3)  # the length of a state tells nothing


def test_a_state_of_zeros_stays_one():
    np.testing.assert_array_equal(unit_rows(np.zeros((1, 3), np.float16)), 0)


@pytest.mark.parametrize("unit", [False, True])
def test_residuals_are_those_of_fits_without_the_row(states, unit):
    inputs = prompt_inputs(states).astype(np.float64)
    targets = np.random.default_rng(1).normal(size=(30, 3)) * np.arange(1, 31)[:, None]
    regression = PromptRegression(inputs.astype(np.float32))
    norms = regression.residual_norms(targets, unit=unit)
    targets = unit_rows(targets).astype(np.float64) if unit else targets
    penalty = PENALTY * np.trace(inputs.T @ inputs) / inputs.shape[1]
    residuals = np.stack([regression.residuals(column) for column in targets.T], axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(residuals, axis=1), rtol=1e-5)
    for row in range(30):
        others = np.arange(30) != row
        gram = inputs[others].T @ inputs[others] + penalty * np.eye(inputs.shape[1])
        fitted = inputs[row] @ np.linalg.solve(gram, inputs[others].T @ targets[others])
        np.testing.assert_allclose(residuals[row], targets[row] - fitted, rtol=1e-3, atol=1e-4)


def test_a_row_alone_in_its_corner_has_a_bounded_leverage():
    states = np.zeros((200, 2), np.float16)
    states[:, 0], states[0] = 1, (0, 1)
    regression = PromptRegression(1e3 * prompt_inputs(states))
    assert regression.leverages[0] <= LARGEST_LEVERAGE
    assert np.isfinite(regression.residuals(np.arange(200.0))).all()


def test_many_rows_are_taken_block_by_block():
    rng = np.random.default_rng(0)
    inputs = prompt_inputs(rng.normal(size=(20_000, 3)))
    targets = inputs @ rng.normal(size=4)
    residuals = PromptRegression(inputs).residuals(targets)
    np.testing.assert_allclose(np.corrcoef(targets - residuals, targets)[0, 1], 1, atol=1e-3)
