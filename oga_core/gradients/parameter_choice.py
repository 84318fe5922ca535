"""Which parameters' gradients a pass computes, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from oga_core.errors import OgaError, unknown
from oga_core.models.refusals import complex_parameter

_NAMED = 5
SMALL_PART = 0.1  # adapters have a few per cent of a model's parameters
_BLOCK = re.compile(r"^(.*?\.)??(\w*?\d+)\.")  # up to the first numbered part: "encoder.layer.3." or "layer4."


def choose_parameters(model: nn.Module, choice: str) -> dict[str, nn.Parameter]:
    """Return the parameters that `choice` names: `all`, `last:N`, `lora` or `pattern:REGEX`.

    all: those that the model trains, or every one where it trains none. last:N: from the N-th last numbered block on.
    Raises `OgaError` where nothing matches.
    """
    real = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
    trained = {name: p for name, p in real.items() if p.requires_grad} or real
    kind, _, detail = choice.partition(":")
    if choice == "all":
        parameters = trained
    elif choice == "lora":
        parameters = {name: p for name, p in real.items() if "lora_" in name}
    elif kind == "last" and detail.isdecimal() and int(detail) > 0:
        parameters = _last_blocks(trained, int(detail))
    elif kind == "pattern":
        parameters = {name: p for name, p in real.items() if _compiled(detail).search(name)}
    else:
        raise unknown("choice of parameters", choice, ("head", "all", "last:N", "lora", "pattern:REGEX"))
    for name, parameter in model.named_parameters():
        if parameter.is_complex() and (choice == "all" or (kind == "pattern" and _compiled(detail).search(name))):
            raise complex_parameter(name)
    if not parameters:
        some = ", ".join(list(real)[:3] + list(real)[-2:]) or "none"
        raise OgaError(
            f"The choice of parameters {choice!r} matches none of the model's {len(real)}: {some}. Use 'all'."
        )
    return parameters


def is_small_part(model: nn.Module, choice: str) -> bool:
    """Whether most layers of the model are frozen under a choice, as all but the adapters of a PEFT model are."""
    chosen = sum(p.numel() for p in choose_parameters(model, choice).values())
    return chosen < SMALL_PART * sum(p.numel() for p in model.parameters())


def size_of(parameters: Mapping[str, Tensor]) -> int:
    """How many numbers are in parameters."""
    return sum(p.numel() for p in parameters.values())


def some_of(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _last_blocks(parameters: dict[str, nn.Parameter], count: int) -> dict[str, nn.Parameter]:
    names = list(parameters)
    blocks = [match.group(0) if (match := _BLOCK.match(name)) else None for name in names]
    numbered = list(dict.fromkeys(block for block in blocks if block))
    if not numbered:
        blocks = [name.rpartition(".")[0] for name in names]
        numbered = list(dict.fromkeys(block for block in blocks if block is not None))
    start = blocks.index(numbered[-count]) if count <= len(numbered) else 0
    return {name: parameters[name] for name in names[start:]}


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise OgaError(f"The pattern {pattern!r} is not a valid regular expression: {error}.") from None
