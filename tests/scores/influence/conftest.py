"""One small problem with its gradients and its Hessian written out."""

import pytest
from dense import trained, written_out


@pytest.fixture(scope="package")
def problem():
    sketch, validation, _ = trained()
    return sketch, validation


@pytest.fixture(scope="package")
def dense(problem):
    return written_out(*problem)
