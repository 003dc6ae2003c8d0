"""The architecture that weights most likely belong to, by the names and shapes of their tensors."""

from collections.abc import Mapping
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor

COMMON = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "densenet121",
    "vgg16",
    "vgg16_bn",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "swin_t",
    "vit_b_16",
)
COMMON_OF_TIMM = (
    "resnet18d",
    "resnet50d",
    "seresnet18",
    "seresnet50",
    "resnetv2_50",
    "regnety_032",
    "mobilenetv3_large_100",
    "tf_efficientnet_b0",
    "tf_efficientnetv2_s",
    "convnext_small",
    "convnext_base",
    "convnextv2_tiny",
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_base_patch32_224",
    "deit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
    "vit_small_patch14_dinov2",
)
"""Networks that people fine-tune, tried in this order where weights fit not the one named."""
COUNTER = "num_batches_tracked"


def likely_arch(tensors: Mapping[str, Tensor]) -> str | None:
    """The first of COMMON and COMMON_OF_TIMM whose weights have these names and shapes, classes and positions aside.

    Args:
        tensors: by their names in the file, whatever stands before all of them.

    Returns: None where none fits.
    """
    given = {name: tuple(value.shape) for name, value in tensors.items() if not name.endswith(COUNTER)}
    for before in ("", *sorted({name.split(".")[0] + "." for name in given})):
        shapes = {name.removeprefix(before): shape for name, shape in given.items() if name.startswith(before)}
        for arch in (*COMMON, *COMMON_OF_TIMM):
            if before and len(shapes) < len(given) / 2:
                break
            if _fits(shapes, _shapes(arch)):
                return arch
    return None


_known: dict[str, dict[str, tuple[int, ...]]] = {}


def _shapes(arch: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an architecture's weights, of which no memory is taken."""
    if arch not in _known:
        build: Any = torchvision.models.get_model if arch in COMMON else timm.create_model
        with torch.device("meta"):
            state = build(arch).state_dict()
        _known[arch] = {name: tuple(value.shape) for name, value in state.items() if not name.endswith(COUNTER)}
    return _known[arch]


def _fits(given: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> bool:
    if set(given) != set(wanted):
        return False
    return all(shape[1:] == wanted[name][1:] or "pos_embed" in name for name, shape in given.items())
