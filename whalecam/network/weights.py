"""Checkpoints: our own, and state dicts made elsewhere. Never a pickle."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.bodies import build_body
from whalecam.network.cut import Network
from whalecam.network.heads import HEADS

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


def load_state(path: Path, classes: tuple[str, ...], arch: str, size: int = 224, resize: str = "squish") -> Network:
    """A network from a state dict made elsewhere: safetensors, or torch.save read with `weights_only=True`.

    Understands our own names (`features.`, `head.`) and fastai's (`0.` the body, `1.` the head, linear or two-layer),
    also under a `model` key.

    Raises ModelError for a pickle, for other names, for another number of classes, for weights that are NaN or
    infinite, and for an architecture that `build_body` refuses.
    """
    stored = _read_state(path)
    check_tensors(stored, path.name)
    state = {_ours(name): value for name, value in stored.items()}
    outputs = [value for name, value in state.items() if name.startswith("head.") and value.ndim == 2]
    if not outputs:
        raise ModelError(f"{path.name} has no head that is known here. It has: {', '.join(list(state)[:4])} …")
    if len(outputs[-1]) != len(classes):
        raise ModelError(
            f"{path.name} tells {len(outputs[-1])} classes apart, but {len(classes)} are named. "
            "Name its classes in order."
        )
    body = build_body(arch, pretrained=False, size=size)
    kind = "fastai" if len(outputs) == 2 else "linear"
    head = HEADS[kind](body.channels, len(classes))
    _fill(nn.ModuleDict({"features": body.features, "head": head}), state, arch)
    return Network(body.features.eval(), head.eval(), body.arch, classes, size, resize, body.mean, body.std, kind)


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


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} is a pickle and could run code when opened, so it is refused. Save its weights instead: "
            "torch.save(learn.model.state_dict(), 'weights.pth')."
        ) from error
    except (OSError, RuntimeError, EOFError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path.name} is not a checkpoint that can be read: {str(error).splitlines()[0]}") from error
    content = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path.name} holds no plain state dict. Save model.state_dict(), nothing around it.")
    return content


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
