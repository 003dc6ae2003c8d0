"""Networks in memory or in files, and their class activation maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from whalecam import data as dataset
from whalecam.api.options import PathLike
from whalecam.arrays import ByteArray
from whalecam.config import IN_MEMORY
from whalecam.data import geometry
from whalecam.errors import DatasetError, ModelError
from whalecam.explain import cam
from whalecam.network import Network, Predict, black_box, load_checkpoint
from whalecam.network.bodies import IMAGENET, Stats
from whalecam.network.exactness import exactness
from whalecam.network.heads import OWN
from whalecam.network.modules import cut
from whalecam.network.preparation import resize_text

BATCH, SIDE = 32, 224


@dataclass(frozen=True, kw_only=True)
class Cams:
    """Class activation maps of N images and C classes, on the network's own grid of h × w positions.

    Attributes:
        maps: (N, C, h, w) float32, logits: how much each position adds to each class's logit; signed.
        bias: (N, C) float32, logits: what no position adds.
        logits: (N, C) float32, as the network gives them.
        completeness_error: (N,) float32, logits: `max_c |Σ_ij maps + bias − logits|`.
        exactness: `exact`, `exact_here` (piecewise linear) or `approximate`.
    """

    maps: NDArray[np.float32]
    bias: NDArray[np.float32]
    logits: NDArray[np.float32]
    completeness_error: NDArray[np.float32]
    exactness: str


def open_model(
    model: nn.Module | PathLike | None = None,
    *,
    predict: Predict | None = None,
    classes: Sequence[str],
    arch: str | None = None,
    size: int | None = None,
    mean: Stats | None = None,
    std: Stats | None = None,
    resize: str | None = None,
    crop_share: float | None = None,
    interpolation: str | None = None,
) -> Network:
    """A network that was trained elsewhere: for `explain`, and for `Run.from_model`, which makes it a run to audit.

    Args:
        model: a module in memory, which is copied, cut in two and stays as it is; or the path of a checkpoint, of a
            folder with one, or of an ONNX file.
        predict: instead of a model, a function of images: uint8 (N, size, size, 3), RGB → probabilities (N, C). It has
            no maps; the background test needs none.
        classes: in the order of its outputs.
        arch: of a checkpoint, a name of torchvision or timm; None: as the file says.
        size: side of its input, px. Needed for a module; None: as the file or timm says, else 224.
        mean, std: of its input's channels, RGB in [0, 1]; None: as the file says, else ImageNet's. A function gets
            plain pixels.
        resize: how an image becomes a square: `squish`, `crop` or `pad`; None: as the file or timm says, else `squish`.
        crop_share: of the sides of what `resize` shows, in (0, 1]; None: as the file or timm says, else 1.
        interpolation: `bilinear`, `bicubic` or another of Pillow's; None: as the file or timm says, else `bilinear`.

    Returns: the network, cut in two, in eval mode. Raises TypeError for a model and a function together, and for what
    it would not use; ModelError where the network cannot be read, cut or called, or has another number of outputs than
    classes.
    """
    if (model is None) == (predict is None):
        raise TypeError("open_model takes either a model, or a function as predict=…")
    names = tuple(classes)
    if predict is not None:
        if arch or mean or std:
            raise TypeError("A function gets plain pixels: arch, mean and std are not used. Leave them out.")
        return black_box(predict, names, size or SIDE, resize_text(resize, crop_share, interpolation))
    if isinstance(model, nn.Module):
        if arch or size is None:
            raise TypeError("A module needs size=…, the side of its input in px, and no arch.")
        how = resize_text(resize, crop_share, interpolation)
        return _of_module(model, names, size, how, mean or IMAGENET[0], std or IMAGENET[1])
    path, look = Path(str(model)).expanduser(), _Look(resize, crop_share, interpolation)
    return _of_file(path, names, arch, size, look, (mean, std))


class _Look(NamedTuple):
    """How an image becomes the input, as `open_model` takes it."""

    resize: str | None
    crop_share: float | None
    interpolation: str | None


def _of_file(
    path: Path,
    classes: tuple[str, ...],
    arch: str | None,
    size: int | None,
    look: _Look,
    stats: tuple[Stats | None, Stats | None],
) -> Network:
    mean, std = stats
    return load_checkpoint(path, classes, arch=arch, size=size, **look._asdict(), mean=mean, std=std).network


def _of_module(module: nn.Module, classes: tuple[str, ...], size: int, resize: str, mean: Stats, std: Stats) -> Network:
    parts = cut(module, size)
    frame = (type(module).__name__, classes, size, resize, mean, std, OWN, IN_MEMORY, len(classes))
    network = Network(parts.features, parts.head, *frame)
    with torch.no_grad():
        outputs = parts.head(network.look(np.zeros((1, size, size, 3), np.uint8))).shape[1]
    if outputs != len(classes):
        raise ModelError(f"{network.arch} has {outputs} outputs, but {len(classes)} classes are named.")
    return network


def explain(model: nn.Module | Network, images: "torch.Tensor | Sequence[PathLike | ByteArray]") -> Cams:
    """Class activation maps of all classes (Zhou et al. 2016) that add up to the logits.

    Args:
        model: a module, or what `open_model` returns.
        images: for a module, its input as a tensor (N, 3, S, S); else paths of image files, or uint8 RGB (H, W, 3).

    Returns: the maps of all images in their order, with what they leave unexplained.
    Raises ModelError where the module cannot be cut before its pooling, DatasetError for a file that cannot be read,
    TypeError for images of the other kind, ValueError without images.
    """
    if isinstance(model, Network) and not isinstance(images, torch.Tensor):
        inputs = [_input(model, image) for image in images]
        batches = [model.batch(np.stack(inputs[at : at + BATCH])) for at in range(0, len(inputs), BATCH)]
        features, head = model.features, model.head
    elif isinstance(model, nn.Module) and isinstance(images, torch.Tensor):
        batches = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
        parts = cut(model, int(images.shape[-1]))
        features, head = parts.features, parts.head
    else:
        wanted = "a tensor (N, 3, S, S)" if isinstance(model, nn.Module) else "paths or uint8 arrays"
        raise TypeError(f"The images of a {type(model).__name__} are {wanted}, not a {type(images).__name__}.")
    if not batches:
        raise ValueError("There are no images to explain.")
    with torch.no_grad():
        activations = [features(batch) for batch in batches]
    return _joined([cam.explain(head, part) for part in activations], exactness(head))


def _input(network: Network, image: PathLike | ByteArray) -> ByteArray:
    if isinstance(image, str | Path):
        image = dataset.read_sample(Path(image), str(image)).pixels
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DatasetError(f"An image is uint8 RGB (H, W, 3), not {pixels.dtype} {pixels.shape}.")
    return geometry.to_input(pixels, network.size, network.resize)


def _joined(parts: Sequence[cam.Evidence], exactness: str) -> Cams:
    arrays = {
        name: torch.cat([getattr(part, name) for part in parts]).detach().float().cpu().numpy()
        for name in ("maps", "bias", "logits", "completeness_error")
    }
    return Cams(**arrays, exactness=exactness)
