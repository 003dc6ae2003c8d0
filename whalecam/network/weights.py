"""Checkpoints: our own, and state dicts made elsewhere. Never a pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.config import LOADED_ARCH
from whalecam.errors import ModelError
from whalecam.network import checkpoints
from whalecam.network.bodies import build_body, build_whole, names_in_body
from whalecam.network.cut import Network
from whalecam.network.heads import HEADS
from whalecam.network.layout import TOLERANCE, largest_difference

AVERAGE, LAYERNORM = "average", "layernorm"
"""Heads of networks that torchvision or timm built, as HEADS names them."""
SHOWN = 3
"""Tensors that an error names."""


def from_spec(spec: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Network:
    """Build a network from what `Network.spec` and `Network.tensors` gave.

    Raises ModelError where they do not fit, and for weights that are NaN or infinite.
    """
    state = {name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}
    check_tensors(state, "The network")
    body = build_body(str(spec["arch"]), pretrained=False, size=int(spec["size"]))
    head = HEADS[spec["head_kind"]](body.channels, len(spec["classes"]))
    whole = nn.ModuleDict({"features": body.features, "head": head})
    _fill(whole, state, body.arch)
    mean, std = (tuple(spec[name]) for name in ("mean", "std"))
    classes = tuple(spec["classes"])
    kind, size, resize = str(spec["head_kind"]), int(spec["size"]), str(spec["resize"])
    return Network(body.features.eval(), head.eval(), body.arch, classes, size, resize, mean, std, kind)


def load_state(
    path: Path, classes: tuple[str, ...], arch: str | None = None, size: int = 224, resize: str = "squish"
) -> Network:
    """A network from a checkpoint made elsewhere: see `checkpoints.read` for the files that are read.

    Understands our own names (`features.`, `head.`), fastai's (`0.` the body, `1.` the head, linear or two-layer), and
    those of torchvision and timm where average pooling and one linear layer end the network, with or without a
    LayerNorm between them, whatever a wrapper puts before the names.

    Args:
        classes: in the order of the network's outputs.
        arch: a name of torchvision or timm; None: the one that the file names, else LOADED_ARCH.

    Raises ModelError for a pickle, for other names, for another number of classes, for weights that are NaN or
    infinite, and for an architecture that `build_body` refuses.
    """
    stored = checkpoints.read(path)
    check_tensors(stored.tensors, path.name)
    arch = arch or stored.arch or LOADED_ARCH
    state = {_ours(name): value for name, value in checkpoints.unwrapped(stored.tensors).items()}
    outputs = [value for name, value in state.items() if name.startswith("head.") and value.ndim == 2]
    if not outputs or not all(name.startswith(("features.", "head.")) for name in state):
        return _of_library(stored, classes, arch, size, resize, path.name)
    _check_classes(path.name, len(outputs[-1]), classes)
    body = build_body(arch, pretrained=False, size=size)
    kind = "fastai" if len(outputs) == 2 else "linear"
    head = HEADS[kind](body.channels, len(classes))
    _fill(nn.ModuleDict({"features": body.features, "head": head}), state, arch)
    return Network(body.features.eval(), head.eval(), body.arch, classes, size, resize, body.mean, body.std, kind)


def _of_library(
    stored: checkpoints.Checkpoint, classes: tuple[str, ...], arch: str, size: int, resize: str, file: str
) -> Network:
    """A network that torchvision or timm built: filled as a whole, then cut, and proven to give the same logits."""
    whole = build_whole(arch, len(classes))
    wanted = whole.state_dict()
    tensors = checkpoints.renamed(stored.tensors, wanted, arch, file)
    _check_shapes(tensors, wanted, classes, arch, file)
    whole.load_state_dict(tensors)
    body = build_body(arch, pretrained=False, size=size)
    places = names_in_body(whole, arch)
    body.features.load_state_dict({name: tensors[places[name]] for name in body.features.state_dict()})
    kind, layers = _behind_pooling(whole, body.channels, arch)
    head = HEADS[kind](body.channels, len(classes))
    for own, theirs in zip(head[-len(layers) :], layers, strict=True):
        own.load_state_dict(theirs.state_dict())
    network = Network(
        body.features.eval(), head.eval(), body.arch, classes, size, resize, body.mean, body.std, head_kind=kind
    )
    _check_same(network, whole)
    return network


def _behind_pooling(whole: nn.Module, channels: int, arch: str) -> tuple[str, list[nn.Module]]:
    """Which of HEADS a classifier ends in, and its layers with weights; raises ModelError where in none of them."""
    layers = [layer for layer in whole.modules() if isinstance(layer, nn.Linear | nn.LayerNorm)]
    last = layers[-1] if layers else None
    if not isinstance(last, nn.Linear) or last.in_features != channels or last.bias is None:
        raise ModelError(f"'{arch}' does not end in average pooling and one linear layer, so its head is not read yet.")
    before = layers[-2] if len(layers) > 1 else None
    if isinstance(before, nn.LayerNorm) and before.normalized_shape == (channels,):
        return LAYERNORM, [before, last]
    return AVERAGE, [last]


def _check_same(network: Network, whole: nn.Module) -> None:
    """Raise ModelError where the cut network's logits differ from the whole one's by more than 1e-4 of the largest."""
    inputs = torch.rand(2, 3, network.size, network.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        apart = largest_difference(network.head(network.features(inputs)), whole(inputs))
    if not apart <= TOLERANCE:
        raise ModelError(
            f"'{network.arch}' has more between its last activations and its logits than average pooling, a "
            f"LayerNorm and one linear layer: without it the logits differ by {apart:.1%} of the largest. Its head is "
            "not read yet."
        )


def _check_shapes(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], classes: tuple[str, ...], arch: str, file: str
) -> None:
    """Raise ModelError for tensors of another shape: those of the last layer alone tell another number of classes."""
    wrong = [name for name, value in wanted.items() if tensors[name].shape != value.shape]
    last = [name for name in wrong if wanted[name].shape[:1] == (len(classes),)]
    if wrong and wrong == last:
        _check_classes(file, len(tensors[wrong[0]]), classes)
    if wrong:
        name = wrong[0]
        raise ModelError(
            f"The weights of {file} do not fit {arch}: {name} is {tuple(tensors[name].shape)}, not "
            f"{tuple(wanted[name].shape)}. Name the right architecture."
        )


def _check_classes(file: str, outputs: int, classes: tuple[str, ...]) -> None:
    if outputs != len(classes):
        raise ModelError(
            f"{file} tells {outputs} classes apart, but {len(classes)} are named. Name its classes in order."
        )


def check_finite(network: Network, owner: str) -> None:
    """Raise ModelError, naming the first tensors at fault, where a weight of a network is NaN or infinite."""
    check_tensors(nn.ModuleDict({"features": network.features, "head": network.head}).state_dict(), owner)


def check_tensors(tensors: Mapping[str, Tensor], owner: str) -> None:
    """The same for tensors by name, as float32 has them, so that nothing overflows when it is loaded."""
    bad = [name for name, values in tensors.items() if not bool(torch.isfinite(values.float()).all())]
    if bad:
        more = f" and {len(bad) - SHOWN} more tensors" if len(bad) > SHOWN else ""
        raise ModelError(
            f"{owner} has weights that are NaN or infinite, in {', '.join(bad[:SHOWN])}{more}. Nothing it says can be "
            "trusted. Use weights from before its training diverged, or train again with a lower learning rate."
        )


def _ours(name: str) -> str:
    for theirs, ours in (("0.", "features."), ("1.", "head.")):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _fill(whole: nn.Module, state: Mapping[str, Tensor], arch: str) -> None:
    try:
        whole.load_state_dict(dict(state))
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        raise ModelError(
            f"The weights do not fit {arch}: {' '.join(first).strip()} Name the right architecture."
        ) from error
