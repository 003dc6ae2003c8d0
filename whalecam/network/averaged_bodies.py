"""Bodies for training that `build_body` does not cut: transformers whose activations are channels last, or tokens."""

from typing import Any, cast

import timm
import torch
import torchvision
from torch import nn

from whalecam.errors import ModelError
from whalecam.network.bodies import Body, build_body, build_whole, stats_of
from whalecam.network.layout import first_line
from whalecam.network.modules import Cut, cut, cut_alike
from whalecam.network.pretrained import INSTALLED, cached_weights, family_of, missing_weights
from whalecam.network.written import PatchWrites

AVERAGED = "averaged, "
"""How a network was cut that a library builds with an average over its tokens in place of a class token."""
CLASSES = 2
"""Of the head that a library builds and that is thrown away; one with published weights keeps their 1,000."""
PUBLISHED = 1000
FAILURES = (TypeError, RuntimeError, ValueError, AssertionError)
"""What a library raises for a name, a size or an option that its network does not take."""


def trainable_body(arch: str, pretrained: bool, size: int) -> Body:
    """Any torchvision or timm classifier by name, without its head, for inputs of `size` px.

    A transformer is cut behind its last layer, where it still has positions, and timm's are built to average over
    their patches: another head is trained on this average, whose maps are exact.

    Raises ModelError as `build_body`, and for a network that keeps no positions to average.
    """
    try:
        return build_body(arch, pretrained, size)
    except ModelError as refusal:
        is_missing = arch in INSTALLED or (pretrained and missing_weights(arch))
        body = None if is_missing else _averaged(arch, pretrained, size)
        if body is None:
            raise refusal
        return body


def cut_again(arch: str, classes: int, size: int, way: str) -> Cut:
    """The architecture without its weights, cut as `trainable_body` or `modules.cut` cut it. Raises ModelError."""
    if way.startswith(AVERAGED):
        try:
            whole = _built(arch, False, size)
        except FAILURES as error:
            raise ModelError(f"'{arch}' cannot be built for {size} px: {first_line(error)}.") from error
        return cut_alike(whole, way.removeprefix(AVERAGED))
    return cut_alike(build_whole(arch, classes, size), way)


def _averaged(arch: str, pretrained: bool, size: int) -> Body | None:
    """None where the network cannot be built for this size, or has no positions that an average could pool."""
    try:
        whole = _built(arch, pretrained, size)
        parts = cut(whole, size)
    except (ModelError, *FAILURES):
        return None
    if isinstance(parts.features, PatchWrites):
        return None
    with torch.no_grad():
        channels = parts.features(torch.zeros(1, 3, size, size)).shape[1]
    return Body(parts.features, channels, arch, *stats_of(arch), way=AVERAGED + parts.way, whole_classes=CLASSES)


def _built(arch: str, pretrained: bool, size: int) -> nn.Module:
    """The library's network, which averages its positions, with embeddings of positions for this size if it has any.

    Raises what the library raises.
    """
    if family_of(arch) == "torchvision":
        weights: Any = "DEFAULT" if pretrained else None
        return cast(nn.Module, torchvision.models.get_model(arch, weights=weights, num_classes=PUBLISHED)).eval()
    cached = cached_weights(arch, "timm") if pretrained else None
    local = {"file": str(cached)} if cached else None
    how: dict[str, Any] = {"num_classes": CLASSES, "pretrained_cfg_overlay": local, "global_pool": "avg"}
    try:
        return timm.create_model(arch, pretrained=pretrained, img_size=size, **how).eval()
    except TypeError:  # a network without embeddings of positions
        return timm.create_model(arch, pretrained=pretrained, **how).eval()
