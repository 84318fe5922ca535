"""Networks of transformers, built from a clean configuration and from weights that were read here.

transformers never reads the folder's configuration or weights itself: many keys of a config.json make it load code,
other files or kernels. The configuration is filtered and the weights are read here, and only then given to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.module import register_module_module_registration_hook

from oga_core.errors import OgaError
from oga_core.models.huggingface.config import check_counts, modality_of, tags_words
from oga_core.models.refusals import reason
from oga_core.models.safetensors import Weights
from oga_core.samples import Modality

_MODULES_PER_TENSOR = 64  # networks have one to four
_SPARE_MODULES = 1_000


def build(
    raw: dict[str, Any], weights: Weights, *, origin: str, head: Modality | None = None, optional: tuple[str, ...] = ()
) -> tuple[Any, Modality]:
    """Build the network that a clean configuration describes and put the weights in, as float32.

    head: the kind of head, where config.json's `architectures` does not decide it. optional: first parts of the names
    of tensors that may be missing, because an adapter brings them.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    modality = head or modality_of(raw, origin)
    check_counts(raw, len(weights), origin)
    try:
        config = read_config(raw)
        network = _network(config, modality)
        _check_size(network, config, weights, origin)
        module, info = network.from_pretrained(
            None,
            config=config,
            state_dict=dict(weights),
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except OgaError:
        raise
    except Exception as error:  # a configuration's wrong values surface as any exception of any layer
        raise OgaError(
            f"transformers cannot build the model that {origin}/config.json describes: {reason(error)}. "
            "Save the model again with model.save_pretrained(folder)."
        ) from None
    _check_loading(info, origin, bool(head), optional)
    return module, modality


def read_config(raw: dict[str, Any]) -> Any:
    """Return the configuration of transformers that a clean config.json describes."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[raw["model_type"]]
    methods = {key for key in raw if callable(getattr(config_class, key, None))}
    config = config_class.from_dict({key: value for key, value in raw.items() if key not in methods})
    config._attn_implementation = "eager"
    config.use_cache = False
    return config


def _network(config: Any, modality: Modality) -> Any:
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForImageClassification,
        AutoModelForSeq2SeqLM,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    auto: Any = {
        "text": AutoModelForSequenceClassification,
        "causal_lm": AutoModelForCausalLM,
        "image": AutoModelForImageClassification,
    }[modality]
    if modality == "causal_lm" and config.is_encoder_decoder:
        auto = AutoModelForSeq2SeqLM
    if modality == "text" and tags_words(config):
        auto = AutoModelForTokenClassification
    networks = auto._model_mapping
    if type(config) not in networks:
        raise OgaError(f"A model of type {config.model_type!r} cannot be used for {modality} data.")
    classes = networks[type(config)]
    if not isinstance(classes, tuple):
        return classes
    # Several networks share one configuration, such as DeiT's with and without its teacher's head.
    return next((network for network in classes if network.__name__ in (config.architectures or ())), classes[0])


def _check_size(network: Any, config: Any, weights: Weights, origin: str) -> None:
    """Stop before memory is taken for a network that the weights cannot fill."""
    stored = sum(tensor.numel() for tensor in weights.values())
    with torch.device("meta"), _at_most_modules(_MODULES_PER_TENSOR * len(weights) + _SPARE_MODULES, origin):
        skeleton = network(config)
    needed = sum(parameter.numel() for parameter in skeleton.parameters())
    buffers = sum(buffer.numel() for buffer in skeleton.buffers())
    if needed > 2 * stored + 1_000_000 or buffers > stored + 100_000_000:
        raise OgaError(
            f"{origin}/config.json describes a network of {needed:,} parameters, but the weights hold {stored:,} "
            "numbers. The configuration belongs to another model: save both again with model.save_pretrained(folder)."
        )


@contextmanager
def _at_most_modules(count: int, origin: str) -> Iterator[None]:
    """Raise `OgaError` as soon as more modules than that are made: a network has few without weights of their own."""
    made = itertools.count(1)

    def check(*_: Any) -> None:
        if next(made) > count:
            raise OgaError(f"{origin}/config.json describes a network of more layers than the weights can fill.")

    handle = register_module_module_registration_hook(check)
    try:
        yield
    finally:
        handle.remove()


def _check_loading(info: Mapping[str, Any], origin: str, foreign_head: bool, optional: tuple[str, ...]) -> None:
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(optional or ("\0",)))
    if missing:
        raise OgaError(
            f"{origin} lacks {len(missing)} tensor(s) of the model: {', '.join(missing[:4])}. With random numbers in "
            "their place every score would be noise. Save the fine-tuned model with its head: "
            "model.save_pretrained(folder)."
        )
    unexpected = [] if foreign_head else sorted(info["unexpected_keys"])
    problems = unexpected or sorted(map(str, info["mismatched_keys"])) or list(info["error_msgs"])
    if problems:
        raise OgaError(
            f"{origin} holds tensors that its config.json does not describe: {', '.join(problems[:4])}. "
            "Save model and configuration together: model.save_pretrained(folder)."
        )
