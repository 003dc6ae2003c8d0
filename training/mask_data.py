"""Photographs and pseudo-masks for the mask network: which are trusted, and how they are varied."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from whalecam.network.segmenter import Segmenter, normalised

SIZE = 128
LONGEST = 224
FAINT, BLANK = 0.9, 0.12
LEAST_AREA = 0.0015
PASTED, EMPTIED = 0.35, 0.06
Field = NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One photograph, uint8 (H, W, 3); its pseudo-mask, float32 (H, W) in [0, 1]; how far it is trusted, in [0, 1]."""

    name: str
    pixels: NDArray[np.uint8]
    mask: Field
    weight: float

    def resized(self, size: int = SIZE) -> tuple[NDArray[np.uint8], Field]:
        """Squeezed into a square, as the network sees it."""
        pixels = cv2.resize(self.pixels, (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(pixels, np.uint8), np.asarray(cv2.resize(self.mask, (size, size)), np.float32)

    def joined(self, teacher: Segmenter) -> "Item":
        """With the mean of its pseudo-mask and what a first network drew; the more they differ, the less trusted."""
        pixels, _ = self.resized()
        views = torch.from_numpy(np.stack([pixels, pixels[:, ::-1]]))
        with torch.inference_mode():
            p = teacher(normalised(views)).sigmoid().numpy()
        drawn = (p[0] + p[1][:, ::-1]) / 2
        height, width = self.mask.shape
        full = np.asarray(cv2.resize(drawn, (width, height)), np.float32)
        if self.weight == 0:
            sure = float((full**2).sum() / max(1e-6, full.sum()))
            usable = sure > 0.85 and (full > 0.5).mean() > LEAST_AREA
            return replace(self, mask=full, weight=0.6 if usable else 0.0)
        one, other = full > 0.5, self.mask > 0.5
        alike = (one & other).sum() / max(1, (one | other).sum())
        return replace(self, mask=0.5 * full + 0.5 * self.mask, weight=float(np.clip(alike * 1.25, 0.1, 1)))


def load(data: Path) -> list[Item]:
    """All photographs but those that masks.csv names. Blank pseudo-masks weigh 0, faint ones are stretched."""
    with (data / "masks.csv").open() as file:
        test = {row["image"] for row in csv.DictReader(file)}
    items = []
    for photos, masks in (
        (data / "photos", data / "pseudo_masks"),
        (data / "extra" / "photos", data / "extra" / "pseudo_masks"),
    ):
        for path in sorted(photos.iterdir()):
            drawn = next(masks.glob(f"{path.stem}.*"), None)
            if path.name not in test and drawn is not None:
                items.append(_item(path, drawn))
    return items


def _item(path: Path, drawn: Path) -> Item:
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((LONGEST, LONGEST))
    mask = np.asarray(np.asarray(Image.open(drawn).convert("L").resize(picture.size), np.float32) / 255, np.float32)
    top = float(np.quantile(mask, 0.998))
    if top < BLANK:
        return Item(path.name, np.asarray(picture), mask, 0.0)
    weight = 1.0
    if top < FAINT:
        mask, weight = np.asarray(np.clip(mask / top, 0, 1), np.float32), 0.5
    doubt = float((4 * mask * (1 - mask)).mean() / max(float(mask.mean()), 1e-3))
    usable = (mask > 0.5).mean() > LEAST_AREA
    return Item(path.name, np.asarray(picture), mask, weight * float(np.clip(1.5 - doubt, 0.2, 1)) if usable else 0.0)


class Pictures(Dataset[Any]):
    """Varied views: cropped, flipped, recoloured, blurred; animals pasted on other water; water alone."""

    def __init__(self, items: Sequence[Item], seed: int, times: int = 2) -> None:
        self.items = [item for item in items if item.weight > 0]
        self.cut = [item for item in self.items if item.weight >= 0.9 and 0.01 < (item.mask > 0.5).mean() < 0.5]
        self.seed, self.times = seed, times
        self.waters = [_filled(item) for item in self.cut]

    def __len__(self) -> int:
        return len(self.items) * self.times

    def __getitem__(self, at: int) -> tuple[Any, Any, float]:
        rng = np.random.default_rng([self.seed, at, int(torch.randint(1 << 31, ()))])
        item, chance = self.items[at % len(self.items)], rng.random()
        if chance < EMPTIED:
            water = self.waters[rng.integers(len(self.waters))]
            pixels, mask, weight = water, np.zeros(water.shape[:2], np.float32), 0.5
        elif chance < EMPTIED + PASTED:
            pixels, mask = self._pasted(rng)
            weight = 1.0
        else:
            pixels, mask, weight = item.pixels, item.mask, item.weight
        pixels, mask = _cropped(pixels, mask, rng)
        return torch.from_numpy(np.ascontiguousarray(_recoloured(pixels, rng))), torch.from_numpy(mask), weight

    def _pasted(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """One to three of an animal on another image's water, from a twentieth of its width to most of it."""
        water = self.waters[rng.integers(len(self.waters))].copy()
        height, width = water.shape[:2]
        covered = np.zeros((height, width), np.float32)
        item = self.cut[rng.integers(len(self.cut))]
        for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
            animal, mask = _animal(item, float(np.exp(rng.uniform(np.log(0.06), np.log(0.85)))) * width, height, rng)
            high, wide = mask.shape
            top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
            place = np.s_[top : top + high, left : left + wide]
            water[place] = mask[..., None] * animal + (1 - mask[..., None]) * water[place]
            covered[place] = np.maximum(covered[place], mask)
        return water, covered


def _animal(item: Item, wanted: float, room: int, rng: np.random.Generator) -> tuple[Any, Field]:
    """The cut-out of an item, `wanted` pixels wide, flipped half the time."""
    ys, xs = np.where(item.mask > 0.2)
    place = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    animal, mask = item.pixels[place], item.mask[place]
    scale = min(wanted / mask.shape[1], room / mask.shape[0])
    shape = (max(3, int(mask.shape[1] * scale)), min(room, max(3, int(mask.shape[0] * scale))))
    animal = np.asarray(cv2.resize(animal, shape, interpolation=cv2.INTER_AREA), np.uint8)
    mask = np.asarray(cv2.resize(mask, shape, interpolation=cv2.INTER_AREA), np.float32)
    if rng.random() < 0.5:
        animal, mask = animal[:, ::-1], mask[:, ::-1]
    return animal, mask


def _filled(item: Item) -> NDArray[np.uint8]:
    grown = cv2.dilate((item.mask > 0.1).astype(np.uint8), np.ones((9, 9), np.uint8))
    return np.asarray(cv2.inpaint(item.pixels, grown * 255, 5, cv2.INPAINT_TELEA), np.uint8)


def _cropped(pixels: Any, mask: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """A random crop of 30 to 100 % of the area, turned by up to 12°, flipped half the time, squeezed to a square."""
    height, width = mask.shape
    share = np.sqrt(rng.uniform(0.3, 1.0)) if rng.random() < 0.7 else 1.0
    half = np.array([width, height]) * share * np.exp(rng.uniform(-0.15, 0.15, 2)) / 2
    middle = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * np.maximum(np.array([width, height]) / 2 - half, 0)
    turn = np.deg2rad(rng.uniform(-12, 12)) if rng.random() < 0.5 else 0.0
    across, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    flip = -1 if rng.random() < 0.5 else 1
    source = np.array([middle, middle + flip * across * half[0], middle + down * half[1]], np.float32)
    target = np.array([[SIZE / 2, SIZE / 2], [SIZE, SIZE / 2], [SIZE / 2, SIZE]], np.float32)
    matrix = cv2.getAffineTransform(source, target)
    blur = float(max(half)) * 2 / SIZE
    if blur > 1.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.35 * blur)
    pixels, mask = (
        np.asarray(cv2.warpAffine(one, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
        for one in (pixels, mask)
    )
    return pixels, mask


def _recoloured(pixels: Any, rng: np.random.Generator) -> Any:
    """Another light, contrast and tint; sometimes grey, blurred, noisy or saved badly."""
    values = pixels.astype(np.float32)
    mean = values.mean()
    values = (values - mean) * rng.uniform(0.6, 1.4) + mean * rng.uniform(0.7, 1.3)
    values *= np.exp(rng.uniform(-0.15, 0.15, 3))
    if rng.random() < 0.25:
        values += (values.mean(-1, keepdims=True) - values) * rng.uniform(0.3, 1.0)
    if rng.random() < 0.2:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.2:
        values += rng.normal(0, rng.uniform(2, 12), values.shape)
    values = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        done, coded = cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
        values = cv2.imdecode(coded, cv2.IMREAD_COLOR) if done else values
    return values
