"""Checkpoints: our own, and state dicts made elsewhere. Never a pickle."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.config import BLACK_BOX, IN_MEMORY, LOADED_ARCH
from whalecam.errors import ModelError
from whalecam.network import checkpoints
from whalecam.network.averaged_bodies import cut_again
from whalecam.network.bodies import IMAGENET, Stats, build_body, build_whole, stats_of
from whalecam.network.checkpoint_files import weights_file
from whalecam.network.cut import Network, first_names
from whalecam.network.heads import HEADS, OWN
from whalecam.network.likely_arch import likely_arch
from whalecam.network.modules import Cut, cut, cut_alike
from whalecam.network.onnx_network import ONNX, SUFFIX, built, read_graph, rebuilt
from whalecam.network.preparation import UNSAID, Preparation, of_timm, resize_text
from whalecam.network.pretrained import INSTALLED, family_of
from whalecam.network.transformers_model import build, config_of
from whalecam.network.transformers_ways import TRANSFORMERS
from whalecam.store.network_spec import NetworkSpec
from whalecam.text import listed

SHOWN = 3
"""Tensors that an error names."""
WORDS = {
    "size": "input side",
    "mean": "mean",
    "std": "standard deviation",
    "resize": "way to resize",
    "crop_share": "crop share",
    "interpolation": "interpolation",
}
"""Fields of `Preparation` in words."""


def from_spec(spec: NetworkSpec, tensors: Mapping[str, NDArray[Any]]) -> Network:
    """Build a network from what `Network.spec` and `Network.tensors` gave.

    Raises ModelError where they do not fit, and for weights that are NaN or infinite.
    """
    way = str(spec.get("way", ""))
    if way in (BLACK_BOX, IN_MEMORY):
        raise ModelError(
            "This run's network is a function or module in the memory of the process that made the run, so it cannot "
            "be built again here. Audit it from Python with whalecam.audit(run, model=…); its pages show what is "
            "audited."
        )
    if way == ONNX:
        return rebuilt(spec, tensors)
    state = {name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}
    check_tensors(state, "The network")
    arch, kind, size = str(spec["arch"]), str(spec["head_kind"]), int(spec["size"])
    classes = tuple(spec["classes"])
    whole = int(spec.get("whole_classes", 0))
    if way.startswith(TRANSFORMERS):
        parts = cut_alike(build(*config_of(state), f"The network of {arch}")[0], way)
        features, head = parts.features, _head(parts, kind, size, len(classes))
    else:
        features, head = _built(arch, kind, size, len(classes), way, whole)
    _fill(nn.ModuleDict({"features": features, "head": head}), state, arch)
    mean, std = cast(Stats, tuple(spec["mean"])), cast(Stats, tuple(spec["std"]))
    resize = str(spec["resize"])
    return Network(features.eval(), head.eval(), arch, classes, size, resize, mean, std, kind, way, whole)


def _built(arch: str, kind: str, size: int, classes: int, way: str, whole: int) -> tuple[nn.Module, nn.Module]:
    """Features and head without weights: a body of ours, or a library's network cut as it was, and its own head."""
    if not way:
        body = build_body(arch, pretrained=False, size=size)
        return body.features, HEADS[kind](body.channels, classes)
    parts = cut_again(arch, whole, size, way)
    return parts.features, _head(parts, kind, size, classes)


def _head(parts: Cut, kind: str, size: int, classes: int) -> nn.Module:
    """The network's own head, or one of HEADS in its place."""
    if kind == OWN:
        return parts.head
    with torch.no_grad():
        channels = parts.features(torch.zeros(1, 3, size, size)).shape[1]
    return HEADS[kind](channels, classes)


@dataclass(frozen=True)
class Loaded:
    """A network from a checkpoint, and in `notes` what was taken from the file rather than from whoever loads it."""

    network: Network
    notes: tuple[str, ...]


def load_checkpoint(
    path: Path,
    classes: tuple[str, ...] | None = None,
    *,
    otherwise: tuple[str, ...] = (),
    arch: str | None = None,
    size: int | None = None,
    default_size: int = 224,
    resize: str | None = None,
    crop_share: float | None = None,
    interpolation: str | None = None,
    mean: Stats | None = None,
    std: Stats | None = None,
) -> Loaded:
    """A network from a checkpoint made elsewhere: see `checkpoints.read` for the files that are read.

    Understands our own names (`features.`, `head.`), fastai's (`0.` the body, `1.` the head, linear or two-layer),
    those of torchvision and timm, whatever a wrapper puts before the names, and classifiers of transformers, which
    that library builds from their `config.json`. Which of their networks can be cut, see `modules.cut`.

    Args:
        classes: in the order of the network's outputs; None: as the file names them, else `otherwise`.
        arch: a name of torchvision or timm; None: the one that the file names, else LOADED_ARCH.
        size: side of its input, px; None: as the file says, else timm's configuration of the architecture, else
            `default_size`.
        resize: of RESIZES; None: as the file or timm says, else `squish`.
        crop_share: of the sides of what `resize` shows, in (0, 1]; None: as the file or timm says, else 1.
        interpolation: of INTERPOLATIONS; None: as the file or timm says, else `bilinear`.
        mean, std: of its input's channels, RGB in [0, 1]; None: as the file says, else those that the architecture's
            published weights have (ImageNet's for an ONNX file).

    An ONNX file is built as `onnx_network.built` says.

    Raises ModelError for a pickle, for other names, for another number of classes, for weights that are NaN or
    infinite, for an architecture that cannot be built, or cut before its pooling, and for an unknown interpolation or
    share; ExtraError where the library transformers is needed and missing.
    """
    given = Preparation(
        size=size, mean=mean, std=std, resize=resize, crop_share=crop_share, interpolation=interpolation
    )
    if path.suffix == SUFFIX:
        return _of_onnx(path, classes or (), otherwise, arch, given, default_size)
    path = weights_file(path)
    stored = checkpoints.read(path)
    check_tensors(stored.tensors, path.name)
    return _of_file(stored, classes, otherwise, arch, given, default_size, path.name)


def _of_file(
    stored: checkpoints.Checkpoint,
    classes: tuple[str, ...] | None,
    otherwise: tuple[str, ...],
    arch: str | None,
    given: Preparation,
    default_size: int,
    file: str,
) -> Loaded:
    if stored.config is not None and arch:
        raise ModelError(
            f"{file} has a config.json of transformers, which says how it is built, so the architecture {arch} is not "
            "used. Leave it out."
        )
    names, wanted = classes or stored.classes or otherwise, arch or stored.arch or LOADED_ARCH
    library = UNSAID if stored.config is not None else published(wanted)
    theirs = stored.preparation.filled(library)
    if given.resize and given.crop_share is None and given.resize != theirs.resize:
        given = replace(given, crop_share=1.0)  # theirs is of another way to resize
    known = given.filled(theirs)
    side, how = known.size or default_size, resize_text(known.resize, known.crop_share, known.interpolation)
    if stored.config is not None:
        network, unused = _of_transformers(stored, stored.config, names, side, how, file)
    else:
        network, unused = _loaded(stored, names, wanted, side, how, file)
    network = replace(network, mean=known.mean or network.mean, std=known.std or network.std)
    notes = [*_notes(stored, library, classes=classes, arch=arch, given=given), *_not_used(stored, unused)]
    return Loaded(network, tuple(notes))


def _of_onnx(
    path: Path,
    classes: tuple[str, ...],
    otherwise: tuple[str, ...],
    arch: str | None,
    given: Preparation,
    default_size: int,
) -> Loaded:
    graph = read_graph(path)
    own = Preparation(size=graph.input.side)
    stored = checkpoints.Checkpoint({}, classes=checkpoints.class_names(graph.class_names), preparation=own)
    names, side = classes or stored.classes or otherwise, own.size or given.size or default_size
    if given.size and given.size != side:
        raise ModelError(f"{path.name} takes images of {side} px only, not {given.size}. Leave the size out.")
    frame = (given.mean or IMAGENET[0], given.std or IMAGENET[1])
    network, why = built(
        graph, names, size=side, resize=resize_text(given.resize, given.crop_share, given.interpolation), frame=frame
    )
    notes = [*_notes(stored, UNSAID, classes=classes or None, arch=None, given=given), why]
    notes += [f"An ONNX file is built by its own graph, so the architecture {arch} is not used."] if arch else []
    return Loaded(network, tuple(filter(None, notes)))


def published(arch: str) -> Preparation:
    """What timm's configuration of an architecture says of its input; nothing for torchvision's and for WhaleCAM's."""
    if arch in INSTALLED or not timm.is_model(arch) or family_of(arch) != "timm":
        return UNSAID
    return of_timm(vars(timm.get_pretrained_cfg(arch)))


def _notes(
    stored: checkpoints.Checkpoint,
    library: Preparation,
    *,
    classes: tuple[str, ...] | None,
    arch: str | None,
    given: Preparation,
) -> Iterator[str]:
    """What the file says and was used, and what it says otherwise than whoever loads it."""
    own = {"architecture": (stored.arch or stored.config, arch), "classes": (stored.classes, classes)}
    frame = {word: (getattr(stored.preparation, name), getattr(given, name)) for name, word in WORDS.items()}
    if used := [word for word, (its, other) in {**own, **frame}.items() if its and not other]:
        yield f"As the file says: {', '.join(used)}."
    of_library = [word for name, word in WORDS.items() if getattr(library, name) and not any(frame[word])]
    if of_library:
        yield f"As timm's configuration of {arch or stored.arch} says: {', '.join(of_library)}."
    if stored.preparation.unused:
        yield f"Not applied, though the file states it: {', '.join(stored.preparation.unused)}."
    if stored.classes and classes and stored.classes != classes:
        yield f"The file has other names for its classes: {', '.join(stored.classes[:SHOWN])} …; yours are used."


def _not_used(stored: checkpoints.Checkpoint, unused: Sequence[str]) -> Iterator[str]:
    """What the file holds beside the network's weights."""
    if stored.others:
        yield f"Weights of the file that are not used: those under {', '.join(stored.others)}."
    if unused:
        yield f"Weights that no logit depends on, and that are not used: {listed(unused, SHOWN)}."


def _of_transformers(
    stored: checkpoints.Checkpoint,
    config: Mapping[str, Any],
    classes: tuple[str, ...],
    size: int,
    resize: str,
    file: str,
) -> tuple[Network, list[str]]:
    """A classifier that transformers built: cut, and proven to give the same logits; and names of weights left out."""
    whole, unused = build(config, stored.tensors, file)
    with torch.no_grad():
        side = whole.image_size or size
        outputs = whole(torch.zeros(1, 3, side, side)).shape[1]
    _check_classes(file, outputs, classes)
    parts = cut(whole, size)
    frame = (f"{type(whole.model).__name__} (transformers)", classes, size, resize, *IMAGENET)
    network = Network(parts.features, parts.head, *frame, head_kind=OWN, way=parts.way, whole_classes=len(classes))
    return network, unused


def _loaded(
    stored: checkpoints.Checkpoint, classes: tuple[str, ...], arch: str, size: int, resize: str, file: str
) -> tuple[Network, list[str]]:
    """The network, and names of weights that it leaves out."""
    state = {_ours(name): value for name, value in checkpoints.unwrapped(stored.tensors).items()}
    outputs = [value for name, value in state.items() if name.startswith("head.") and value.ndim == 2]
    if not outputs or not all(name.startswith(("features.", "head.")) for name in state):
        return _of_library(stored, classes, arch, size, resize, file)
    _check_classes(file, len(outputs[-1]), classes)
    body = build_body(arch, pretrained=False, size=size)
    kind = "fastai" if len(outputs) == 2 else "linear"
    head = HEADS[kind](body.channels, len(classes))
    _fill(nn.ModuleDict({"features": body.features, "head": head}), state, arch)
    frame = (body.arch, classes, size, resize, body.mean, body.std, kind)
    return Network(body.features.eval(), head.eval(), *frame), []


def _of_library(
    stored: checkpoints.Checkpoint, classes: tuple[str, ...], arch: str, size: int, resize: str, file: str
) -> tuple[Network, list[str]]:
    """A network that torchvision or timm built: filled as a whole, then cut, and proven to give the same logits."""
    whole = build_whole(arch, len(classes), size)
    wanted = whole.state_dict()
    tensors = checkpoints.renamed(stored.tensors, wanted, arch, file)
    _check_shapes(tensors, wanted, classes, arch, file)
    whole.load_state_dict(_versioned(tensors, whole))
    parts = cut(whole, size)
    frame = (arch, classes, size, resize, *stats_of(arch))
    network = Network(parts.features, parts.head, *frame, head_kind=OWN, way=parts.way, whole_classes=len(classes))
    used = {id(value) for value in tensors.values()}
    return network, [name for name, value in stored.tensors.items() if id(value) not in used]


def _check_shapes(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], classes: tuple[str, ...], arch: str, file: str
) -> None:
    """Raise ModelError for tensors of another shape: those of the last layer alone tell another number of classes."""
    wrong = [name for name, value in wanted.items() if tensors[name].shape != value.shape]
    last = [name for name in wrong if wanted[name].shape[:1] == (len(classes),)]
    if wrong and wrong == last:
        _check_classes(file, len(tensors[wrong[0]]), classes)
    if wrong:
        name, like = wrong[0], likely_arch(tensors)
        advice = "Name the right architecture, and a transformer's own size."
        if like not in (None, arch):
            advice = f"They fit {like}: name it as the architecture."
        raise ModelError(
            f"The weights of {file} do not fit {arch}: {name} is {tuple(tensors[name].shape)}, not "
            f"{tuple(wanted[name].shape)}. {advice}"
        )


def _check_classes(file: str, outputs: int, classes: tuple[str, ...]) -> None:
    if outputs != len(classes):
        raise ModelError(
            f"{file} has {outputs} outputs, but {len(classes)} classes are named. Name its classes in order."
        )


def check_finite(network: Network, owner: str) -> None:
    """Raise ModelError, naming the first tensors at fault, where a weight of a network is NaN or infinite."""
    check_tensors(nn.ModuleDict({"features": network.features, "head": network.head}).state_dict(), owner)


def check_tensors(tensors: Mapping[str, Tensor], owner: str) -> None:
    """The same for tensors by name, as float32 has them, so that nothing overflows when it is loaded."""
    numbers = {name: values for name, values in tensors.items() if values.is_floating_point()}
    bad = [name for name, values in numbers.items() if not bool(torch.isfinite(values.float()).all())]
    if bad:
        more = f" and {len(bad) - SHOWN} more tensors" if len(bad) > SHOWN else ""
        raise ModelError(
            f"{owner} has weights that are NaN or infinite, in {', '.join(bad[:SHOWN])}{more}. Its predictions cannot "
            "be trusted. Use weights from before its training diverged, or train again with a lower learning rate."
        )


def _ours(name: str) -> str:
    for theirs, ours in (("0.", "features."), ("1.", "head.")):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _fill(whole: nn.Module, state: Mapping[str, Tensor], arch: str) -> None:
    names = first_names(whole)
    stored = {name: names[id(value)] for name, value in whole.state_dict(keep_vars=True).items()}
    shared = {name: state[first] for name, first in stored.items() if name not in state and first in state}
    try:
        whole.load_state_dict(_versioned({**state, **shared}, whole))
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        raise ModelError(
            f"The weights do not fit {arch}: {' '.join(first).strip()} Name the right architecture."
        ) from error


def _versioned(state: Mapping[str, Tensor], whole: nn.Module) -> dict[str, Tensor]:
    """A state dict with the versions of the network's layers, which some, such as MNASNet, do not load without."""
    versioned = OrderedDict(state)
    vars(versioned)["_metadata"] = vars(whole.state_dict()).get("_metadata", {})
    return versioned
