"""Architectures from other packages, made small: skipped where their package is not installed.

pip install timm vit-pytorch rtdl-revisiting-models efficientnet-pytorch x-transformers pytorch-tabnet monai
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from architecture import N_CLASSES, VOCABULARY, Architecture, Net, head
from torch import nn

TIMM = {
    "test_byobnet": 160, "test_coatnet": 160, "test_convnext": 160, "test_convnext2": 160, "test_convnext3": 160,
    "test_efficientnet": 160, "test_efficientnet_evos": 160, "test_efficientnet_gn": 160, "test_efficientnet_ln": 160,
    "test_mambaout": 160, "test_maxvit": 160, "test_nfnet": 160, "test_resnet": 160, "test_vit": 160, "test_vit2": 160,
    "test_vit3": 160, "test_vit4": 160, "test_vit_relpos": 160,
    "resnet10t": 64, "mobilenetv3_small_050": 64, "efficientnet_lite0": 64, "ghostnet_050": 64, "lcnet_035": 64,
    "mobilevit_xxs": 64, "edgenext_xx_small": 64, "fastvit_t8": 64, "repvit_m0_9": 64, "tinynet_e": 64,
    "xcit_nano_12_p16_224": 224, "crossvit_tiny_240": 240, "levit_128s": 224, "efficientformerv2_s0": 224,
    "mobileone_s0": 64, "poolformer_s12": 64, "regnetx_002": 64, "rexnet_100": 64, "hardcorenas_a": 64,
    "coat_lite_tiny": 224, "pvt_v2_b0": 64, "tiny_vit_5m_224": 224, "deit_tiny_patch16_224": 224,
    "efficientvit_b0": 64, "efficientvit_m0": 224, "starnet_s1": 64, "swiftformer_xs": 64, "shvit_s1": 64,
    "repghostnet_050": 64, "skresnet18": 64, "resnest14d": 64, "dla46_c": 64, "hrnet_w18_small": 64,
    "densenet121": 64, "ese_vovnet19b_slim_dw": 64, "eca_botnext26ts_256": 256, "halonet26t": 256,
    "lambda_resnet26rpt_256": 256, "gcvit_xxtiny": 224, "visformer_tiny": 224, "cspresnet50": 64, "nf_regnet_b0": 64,
}  # fmt: skip
"""Models of timm, and the side of their images."""
VIT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vision transformer": ("vit", "ViT", {}),
    "simple vision transformer": ("simple_vit", "SimpleViT", {}),
    "register tokens": ("simple_vit_with_register_tokens", "SimpleViT", {}),
    "FFT of patches": ("simple_vit_with_fft", "SimpleViT", {"freq_patch_size": 4}),
    "value residual": ("simple_vit_with_value_residual", "SimpleViT", {}),
    "deep": ("deepvit", "DeepViT", {}),
    "parallel": ("parallel_vit", "ViT", {}),
    "patch merger": ("vit_with_patch_merger", "ViT", {}),
    "for small data": ("vit_for_small_dataset", "ViT", {}),
    "class attention": ("cait", "CaiT", {"cls_depth": 1}),
    "normalised": ("normalized_vit", "nViT", {}),
    "rotary": ("rvt", "RvT", {}),
}
TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "MLP": (
        "rtdl_revisiting_models", "MLP",
        {"d_in": 6, "d_out": N_CLASSES, "n_blocks": 2, "d_block": 12, "dropout": 0.1},
    ),
    "ResNet of tables": (
        "rtdl_revisiting_models", "ResNet",
        {"d_in": 6, "d_out": N_CLASSES, "n_blocks": 2, "d_block": 12, "d_hidden": 16, "d_hidden_multiplier": None,
         "dropout1": 0.1, "dropout2": 0.0},
    ),
}  # fmt: skip


def _timm(name: str) -> Callable[[], nn.Module]:
    return lambda: import_module("timm").create_model(name, num_classes=N_CLASSES)


def _vit(module: str, name: str, options: dict[str, Any]) -> Callable[[], nn.Module]:
    sizes = {
        "image_size": 16,
        "patch_size": 4,
        "num_classes": N_CLASSES,
        "dim": 16,
        "depth": 2,
        "heads": 2,
        "mlp_dim": 24,
    }

    def build() -> nn.Module:
        model: nn.Module = getattr(import_module(f"vit_pytorch.{module}"), name)(**{**sizes, **options})
        return model

    return build


def _of(module: str, name: str, options: dict[str, Any]) -> Callable[[], nn.Module]:
    return lambda: getattr(import_module(module), name)(**options)


def _features_as_tokens() -> nn.Module:
    options = {"n_blocks": 1, "d_block": 16, "attention_n_heads": 2, "attention_dropout": 0.1, "ffn_d_hidden": None}
    options |= {"ffn_d_hidden_multiplier": 1.5, "ffn_dropout": 0.1, "residual_dropout": 0.0}
    network = import_module("rtdl_revisiting_models").FTTransformer
    inner = network(n_cont_features=6, cat_cardinalities=[], d_out=N_CLASSES, **options)
    return Net(lambda m, x: m.inner(x, None), inner=inner)


def _tabnet() -> nn.Module:
    inner = import_module("pytorch_tabnet.tab_network").TabNet(
        6, N_CLASSES, n_d=4, n_a=4, n_steps=2, group_attention_matrix=torch.eye(6)
    )
    return Net(lambda m, x: m.inner(x)[0], inner=inner)


def _encoder(**options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        package = import_module("x_transformers")
        layers = package.Encoder(dim=16, depth=2, heads=2, **options)
        inner = package.TransformerWrapper(num_tokens=VOCABULARY, max_seq_len=12, attn_layers=layers)
        return Net(lambda m, x: m.head(m.inner(x, return_embeddings=True).mean(1)), inner=inner, head=head(16))

    return build


ARCHITECTURES = [
    *(Architecture(name, _timm(name), "image", package="timm", shape=(3, side, side)) for name, side in TIMM.items()),
    *(Architecture(name, _vit(*rest), "image", package="vit_pytorch") for name, rest in VIT.items()),
    *(Architecture(f"{name}, {rest[0]}", _of(*rest), "table", package=rest[0]) for name, rest in TABLES.items()),
    Architecture("features as tokens, rtdl", _features_as_tokens, "table", package="rtdl_revisiting_models"),
    Architecture("TabNet", _tabnet, "table", package="pytorch_tabnet"),
    *(
        Architecture(f"encoder of x-transformers, {name}", _encoder(**options), "tokens", package="x_transformers")
        for name, options in {
            "plain": {},
            "rotary": {"rotary_pos_emb": True},
            "relative bias": {"rel_pos_bias": True},
            "ALiBi": {"alibi_pos_bias": True},
            "gated": {"ff_glu": True, "attn_gate_values": True},
            "RMS norm": {"use_rmsnorm": True},
            "sandwich": {"sandwich_norm": True},
            "memory": {"attn_num_mem_kv": 2},
            "talking heads": {"attn_pre_talking_heads": True},
        }.items()
    ),
]
