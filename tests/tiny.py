"""A data set of a few drawings, for tests that need one but not what is on it."""

from pathlib import Path

import numpy as np
from PIL import Image

from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run

LABELS = ("beluga", "orca")


def draw(folder: Path, images: int = 8, side: int = 40) -> tuple[Path, Path]:
    """`train.csv` and `images/` below `folder`: two labels in turn, told apart by their colour."""
    rng, lines = np.random.default_rng(0), ["image,species"]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        pixels = rng.integers(0, 60, (side, side, 3))
        pixels[..., number % 2] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
        lines.append(f"{number}.png,{LABELS[number % 2]}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    return folder / "train.csv", folder / "images"


def untrained_run(folder: Path, csv: Path, images: Path) -> Run:
    """A run of the data set without a network."""
    columns = {"image": "image", "label": "species", "group": "individual_id"}
    return create_run(folder, DatasetRecord(str(csv), str(images), columns, ""))
