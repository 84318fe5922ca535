"""Training dynamics against their definitions."""

import numpy as np
from dense import close
from problems import sketch_of

from oga_core.scores import dynamics


def checkpoint(margins):
    """Two classes, every given label 0, with the given logit margins."""
    logits = np.stack([np.array(margins), np.zeros(len(margins))], axis=1).astype(np.float32)
    return sketch_of(np.ones((len(margins), 1), dtype=np.float32), logits, np.zeros(len(margins), dtype=np.int64))


def test_training_dynamics():
    checkpoints = [checkpoint([2.0, -1.0, 3.0]), checkpoint([-2.0, -1.0, 4.0]), checkpoint([1.0, -1.0, 5.0])]
    last = checkpoints[-1]
    close(dynamics.aum(last, checkpoints=checkpoints), [-1 / 3, 1, -4], rtol=1e-6)
    np.testing.assert_array_equal(dynamics.forgetting(last, checkpoints=checkpoints), [1, 3, 0])
    probabilities = 1 / (1 + np.exp(-np.array([[2, -1, 3], [-2, -1, 4], [1, -1, 5.0]])))
    close(dynamics.mean_loss(last, checkpoints=checkpoints), -np.log(probabilities).mean(axis=0), rtol=1e-5)
    close(dynamics.mean_error(last, checkpoints=checkpoints), 1 - probabilities.mean(axis=0), rtol=1e-5)
    close(dynamics.variability(last, checkpoints=checkpoints), probabilities.std(axis=0), rtol=1e-4)
