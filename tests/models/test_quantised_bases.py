"""Bases in 8 and 4 bits under an adapter: the numbers that bitsandbytes says their weights stand for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attack_files import build_quietly
from attacks_huggingface import change_json
from attacks_peft import adapter
from bitsandbytes_layers import DIGESTS, layers
from safetensors.torch import load_file, save_file
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.models.huggingface.quantised import dequantised

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about what PEFT calls in it

TOKENS = torch.tensor([[2, 4, 3], [3, 4, 4]])
STORED = {"quant_method": "bitsandbytes", "load_in_8bit": True}


@pytest.mark.parametrize("layer", DIGESTS)
def test_four_bits_stand_for_what_bitsandbytes_says_to_the_last_bit(layer: str) -> None:
    weight = dequantised(layers(), "here")[f"{layer}.weight"]
    assert hashlib.blake2b(weight.numpy().tobytes(), digest_size=8).hexdigest() == DIGESTS[layer]


def test_four_bits_by_hand() -> None:
    """The first code of a byte is in its high half; a block's numbers are those of the table times its largest."""
    given = layers()
    table = given["fp4.weight.quant_map"].tolist()
    blocks = given["fp4.weight.absmax"].tolist()
    codes = [code for byte in given["fp4.weight"].flatten().tolist() for code in divmod(byte, 16)]
    numbers = [table[code] * blocks[place // 64] for place, code in enumerate(codes)]
    weight = dequantised(given, "here")["fp4.weight"]
    assert weight.shape == (3, 50)
    torch.testing.assert_close(weight.flatten(), torch.tensor(numbers))


def test_eight_bits_are_shares_of_each_row() -> None:
    given = layers()
    rows = zip(given["int8.weight"].tolist(), given["int8.SCB"].tolist(), strict=True)
    weight = dequantised(given, "here")["int8.weight"]
    torch.testing.assert_close(weight, torch.tensor([[number * scale / 127 for number in row] for row, scale in rows]))


def in_8_bits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The layers of the attention as `Linear8bitLt` stores them."""
    stored = {}
    for name, weight in weights.items():
        if "_proj.weight" not in name:
            stored[name] = weight
            continue
        largest = weight.abs().amax(1)
        stored[name] = (weight / largest[:, None] * 127).round().to(torch.int8)
        stored[name.removesuffix("weight") + "SCB"] = largest
        stored[f"{name}_format"] = torch.tensor(0, dtype=torch.uint8)
    return stored


def test_an_adapter_over_eight_bits_runs_on_what_they_stand_for(tmp_path: Path) -> None:
    build_quietly(lambda: adapter(tmp_path / "adapter"))
    base = tmp_path / "adapter" / "base"
    packed = in_8_bits(load_file(base / "model.safetensors"))
    save_file(dequantised(packed, "here"), base / "model.safetensors", {"format": "pt"})
    expected = load_model(tmp_path / "adapter").module(input_ids=TOKENS).logits
    save_file(packed, base / "model.safetensors", {"format": "pt"})
    change_json(base / "config.json", quantization_config=STORED)
    loaded = load_model(tmp_path / "adapter")
    assert torch.equal(loaded.module(input_ids=TOKENS).logits, expected)
    assert "8 or 4 bits" in " ".join(loaded.notes)
    with pytest.raises(OgaError, match="Under a PEFT adapter"):
        load_model(base)


def without(name: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda given: given.__delitem__(name)


def state(**changes: object) -> Callable[[dict[str, Tensor]], None]:
    def change(given: dict[str, Tensor]) -> None:
        name = "fp4.weight.quant_state.bitsandbytes__fp4"
        content = json.loads(bytes(given[name].tolist())) | changes
        given[name] = torch.tensor(list(json.dumps(content).encode()), dtype=torch.uint8)

    return change


def put(name: str, tensor: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda given: given.__setitem__(name, tensor)


@pytest.mark.parametrize(
    "damage",
    [
        without("int8.SCB"),
        without("int8.weight"),
        put("int8.SCB", torch.ones(4)),
        put("int8.weight_format", torch.tensor(2, dtype=torch.uint8)),
        without("fp4.weight.absmax"),
        without("fp4.weight.quant_map"),
        put("fp4.weight.absmax", torch.ones(1)),
        put("fp4.weight.quant_map", torch.ones(3)),
        put("fp4.weight.quant_state.bitsandbytes__fp4", torch.zeros(2, dtype=torch.uint8)),
        put("fp4.weight.quant_state.bitsandbytes__fp4", torch.zeros(9999, dtype=torch.uint8)),
        state(shape=[3, 2**40]),
        state(shape=[-3, -50]),
        state(shape=[]),
        state(shape=None),
        state(blocksize=0),
        state(blocksize=2**70),
        state(dtype="float8"),
        state(nested_offset=0.5, nested_blocksize=256),
        without("nested.weight.nested_absmax"),
    ],
)
def test_tables_that_do_not_fit_are_refused(damage: Callable[[dict[str, Tensor]], None]) -> None:
    given = layers()
    damage(given)
    with pytest.raises(OgaError, match="quantised weights that cannot be read"):
        dequantised(given, "here")
