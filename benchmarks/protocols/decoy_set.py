"""Decoy Fashion-MNIST (Ross et al. 2017, arXiv 1703.03717): a grey square tells the label, in training alone.

The square has 4 × 4 pixels, in a random corner; in training its grey is 255 − 25 · label, in the decoyed test set that
of a random label.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from whalecam.errors import DatasetError

Codes = NDArray[np.int64]
Pixels = NDArray[np.uint8]
FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files of Xiao et al. 2017 (arXiv 1708.07747)."""
SIDE, SQUARE, LABELS, STEP = 28, 4, 10, 25
IMAGES, NUMBERS = 2051, 2049
"""The first number of an IDX file of images, and of one of labels."""


@dataclass(frozen=True, eq=False)
class Decoyed:
    """Grey images uint8 (N, 28, 28) with their squares, labels (N,), and where the squares are, bool (N, 28, 28)."""

    images: Pixels
    labels: Codes
    squares: NDArray[np.bool_]


def read(part: str, folder: Path = FOLDER) -> tuple[Pixels, Codes]:
    """Images (N, 28, 28) and labels (N,) of `train` or `t10k`. Raises DatasetError where they cannot be read."""
    images = _idx(folder / f"{part}-images-idx3-ubyte.gz", IMAGES, 16).reshape(-1, SIDE, SIDE)
    labels = _idx(folder / f"{part}-labels-idx1-ubyte.gz", NUMBERS, 8).astype(np.int64)
    if len(images) != len(labels):
        raise DatasetError(f"{folder}: {len(images)} images and {len(labels)} labels of {part} do not belong together.")
    return images, labels


def _idx(file: Path, magic: int, start: int) -> Pixels:
    if not file.is_file():
        raise DatasetError(
            f"There is no {file}. Debian and Ubuntu have it: apt-get install dataset-fashion-mnist. Elsewhere name the "
            "folder that has the four files of Fashion-MNIST with --data."
        )
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError) as error:
        raise DatasetError(f"{file} is no gzip file: {error}") from error
    if len(content) < start or int.from_bytes(content[:4], "big") != magic:
        raise DatasetError(f"{file} is no IDX file of Fashion-MNIST: it begins with other numbers.")
    values = np.frombuffer(content, np.uint8, offset=start)
    each = SIDE * SIDE if magic == IMAGES else 1
    if len(values) != each * int.from_bytes(content[4:8], "big"):
        raise DatasetError(f"{file} is shorter or longer than its first numbers say. Download it again.")
    return values


def decoyed(images: Pixels, labels: Codes, squares_of: Codes, rng: Generator) -> Decoyed:
    """Images with a square in the grey of each of the labels `squares_of` (N,), in a random corner."""
    marked, squares = images.copy(), np.zeros(images.shape, bool)
    low, high = slice(0, SQUARE), slice(SIDE - SQUARE, SIDE)
    for at, corner in enumerate(rng.integers(4, size=len(images)).tolist()):
        place = (low, high)[corner // 2], (low, high)[corner % 2]
        marked[at][place] = 255 - STEP * int(squares_of[at])
        squares[at][place] = True
    return Decoyed(marked, labels, squares)
