"""The peers of an audit, each as its own guide calls it: how many images a second they get through."""

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from whalecam.network import Network

Maps = Callable[[Tensor, Sequence[int]], object]
"""Inputs (N, 3, S, S) and classes → maps of each class, in whatever form the peer gives them."""
BATCHES, WORKERS = (16, 32, 64), (0, 1, 2)


class Files(Dataset[Tensor]):
    """Files of the network's own size → inputs, by the shortest way: Pillow and one normalisation."""

    def __init__(self, paths: Sequence[Path], model: Network) -> None:
        self.paths = paths
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (model.mean, model.std))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> Tensor:
        with Image.open(self.paths[at]) as picture:
            pixels = torch.from_numpy(np.array(picture.convert("RGB")))
        return (pixels.permute(2, 0, 1).float() - self.mean) / self.std


def fastai(paths: Sequence[Path], model: Network, batch: int, workers: int) -> int:
    """`get_preds`: predictions alone, no map. The loader is made anew, the learner once."""
    loaders, learner = _learner(tuple(paths), model.classes, model.size)
    with learner.no_bar():
        return len(learner.get_preds(dl=loaders.test_dl(list(paths), bs=batch, num_workers=workers))[0])


@functools.cache
def _learner(paths: tuple[Path, ...], classes: tuple[str, ...], size: int) -> tuple[Any, Any]:
    from fastai.vision.all import ImageDataLoaders, Resize, vision_learner
    from torchvision.models import resnet18

    labels = [classes[at % len(classes)] for at in range(len(paths))]
    loaders = ImageDataLoaders.from_lists(
        paths[0].parent, list(paths), labels, item_tfms=Resize(size), num_workers=0, valid_pct=0.0
    )
    return loaders, vision_learner(loaders, resnet18, pretrained=False)


def grad_cam(model: Network) -> Maps:
    from pytorch_grad_cam import HiResCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    cam = HiResCAM(nn.Sequential(model.features, model.head), [model.features])
    return lambda some, classes: [cam(some, [ClassifierOutputTarget(one)] * len(some)) for one in classes]


def captum(model: Network) -> Maps:
    from captum.attr import LayerGradCam

    method = LayerGradCam(nn.Sequential(model.features, model.head), model.features)
    return lambda some, classes: [method.attribute(some, target=one) for one in classes]


def torch_cam(model: Network) -> Maps:
    from torchcam.methods import CAM

    whole = nn.Sequential()
    whole.add_module("features", model.features)
    whole.add_module("pool", nn.AdaptiveAvgPool2d(1))
    whole.add_module("flat", nn.Flatten())
    whole.add_module("fc", nn.Linear(512, len(model.classes)))
    whole.eval()
    cam = CAM(whole, "features", "fc")

    @torch.no_grad()
    def maps(some: Tensor, classes: Sequence[int]) -> object:
        whole(some)
        return [cam(one) for one in classes]

    return maps


def from_memory(maps: Maps, some: Tensor, classes: Sequence[int], batch: int) -> int:
    for start in range(0, len(some), batch):
        maps(some[start : start + batch], classes)
    return len(some)


def from_files(maps: Maps, files: Files, classes: Sequence[int], batch: int, workers: int) -> int:
    done = 0
    for some in DataLoader(files, batch_size=batch, num_workers=workers):
        maps(some, classes)
        done += len(some)
    return done


def fastest(task: Callable[..., int], *settings: Sequence[int]) -> tuple[int, ...]:
    """The settings, one of each sequence, at which a task gets through most images a second."""
    speeds: dict[tuple[int, ...], float] = {}
    for chosen in [*itertools.product(*settings)] * 2:  # the first time round warms up
        start = time.perf_counter()
        speed = task(*chosen) / (time.perf_counter() - start)
        speeds[chosen] = max(speed, speeds.get(chosen, 0.0))
    return max(speeds, key=lambda one: speeds[one])
