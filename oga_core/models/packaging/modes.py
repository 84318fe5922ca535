"""How a model is run while it is packaged: in eval mode, nothing compiled, nothing printed, and on copies."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

import torch
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """Take off the wrappers of torch.compile and of data parallelism."""
    while isinstance(inner := getattr(model, "_orig_mod", None), nn.Module) or (
        isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        and (inner := model.module) is not None
    ):
        model = inner
    return model


def unused_copy(model: nn.Module) -> nn.Module:
    """Return a copy without what earlier runs left in it, as far as a change to training mode and back clears that.

    The model itself where it cannot be copied.
    """
    try:
        copied = copy.deepcopy(model)
    except Exception:  # whatever the user's own attributes raise
        return model
    return copied.train().eval()


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode, nothing compiled, no key-value cache, attention by the path with gradients; then all is as before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    fast = torch.backends.mha.get_fastpath_enabled()
    config: Any = getattr(model, "config", None)
    caches = getattr(config, "use_cache", None) is True
    if caches:
        config.use_cache = False
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager"), _masks_as_given():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        if caches:
            config.use_cache = True
        for module, mode in modes:
            module.training = mode
        for buffer, value in buffers:
            buffer.copy_(value)


def _masks_as_given() -> AbstractContextManager[Any]:
    """Keep transformers of torch from comparing a mask with the causal one, which decides in Python by its values.

    That only lets a faster function be used; with the mask as it is given the outputs are the same.
    """
    return patch.object(
        torch.nn.modules.transformer,
        "_detect_is_causal_mask",
        lambda mask, is_causal=None, size=None: bool(is_causal),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch from printing graphs and tracebacks; its error comes back as one message."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
