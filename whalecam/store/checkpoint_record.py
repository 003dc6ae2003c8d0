"""What a checkpoint was recognized as before it is used, kept in the run that it is meant for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whalecam.config import EXACTNESS
from whalecam.data.geometry import resize_of
from whalecam.errors import RunError
from whalecam.store.json_file import read_json, write_json
from whalecam.text import listed, percent

NAMED = 6
"""How many classes and labels a sentence names."""
RESIZED = {"squish": "squeezed to a square", "crop": "cropped to a square", "pad": "padded to a square"}


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a person stated about a checkpoint; None where the file, or else a default, decides."""

    arch: str | None = None
    size: int | None = None
    resize: str | None = None
    classes: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """What a checkpoint is.

    Attributes:
        checkpoint: its absolute path; `stamp` is when it was changed, ns.
        given: what was stated about it.
        arch, classes, size, resize, mean, std: of the network, classes in the order of its outputs, size in px.
        exactness: out of config.EXACTNESS.
        positions: rows and columns of its maps; None where it has none.
        unexplained: what the maps of test images leave of the largest logit, a share in [0, 1]; None without maps.
        was_cut: whether it was a whole network of a library, cut in two with the same logits.
        notes: what was taken from the file, and what the file says that is not done; a sentence each.
        labels: of the data set that it is meant for, as far as they are usable.
    """

    checkpoint: str
    stamp: int
    given: Given
    arch: str
    classes: tuple[str, ...]
    size: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    exactness: str
    positions: tuple[int, int] | None
    unexplained: float | None
    was_cut: bool
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def unknown_labels(self) -> tuple[str, ...]:
        """Labels of the data set that are no class of the network."""
        return tuple(label for label in self.labels if label not in self.classes)

    @property
    def is_changed(self) -> bool:
        """Whether the file is another one than was looked at, or gone."""
        path = Path(self.checkpoint)
        return not path.exists() or stamp_of(path) != self.stamp

    @property
    def sentences(self) -> tuple[str, ...]:
        """Architecture, classes, preprocessing, exactness and the check of the cut, a sentence each; then the notes."""
        mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (self.mean, self.std))
        return (
            f"Architecture: {self.arch}.",
            f"Classes: {len(self.classes):,}, in the order of the outputs: {listed(self.classes, NAMED)}.",
            *([self._labels()] if self.labels else []),
            f"Preprocessing: {self._resized()}; mean {mean}, standard deviation {std}.",
            f"Maps: {self.exactness.replace('_', ' ')}. {EXACTNESS[self.exactness]}",
            f"Cut: {self._cut()}",
            *self.notes,
        )

    def _labels(self) -> str:
        known = len(self.labels) - len(self.unknown_labels)
        text = f"Labels: {known:,} of {len(self.labels):,} labels of the data set are classes of the network"
        if not self.unknown_labels:
            return f"{text}."
        return f"{text}; it cannot predict {listed(self.unknown_labels, NAMED)}, so their images count as wrong."

    def _resized(self) -> str:
        how = resize_of(self.resize)
        share = f", of which the central {percent(how.share)} of each side is used" if how.share < 1 else ""
        return f"an image is {RESIZED[how.kind]} of {self.size} px{share}, by a {how.interpolation} filter"

    def _cut(self) -> str:
        if self.positions is None or self.unexplained is None:
            return "it has no positions before its logits, so there are no maps; what it relies on is measured alone."
        rows, columns = self.positions
        same = "its two parts give the logits of the whole network; " if self.was_cut else ""
        left = percent(self.unexplained, 1) if self.unexplained >= 0.001 else f"less than {percent(0.001, 1)}"
        return f"{same}maps of {rows} × {columns} positions leave {left} of the largest logit open, on test images."


def stamp_of(path: Path) -> int:
    """When a checkpoint was last changed, ns; of a folder, the latest of its files."""
    files = [path, *(path.iterdir() if path.is_dir() else ())]
    return max(int(file.stat().st_mtime_ns) for file in files)


def save_record(record: CheckpointRecord, path: Path) -> None:
    """Write a record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(record))


def read_record(path: Path) -> CheckpointRecord | None:
    """The record in a file; None where there is none. Raises RunError for a file that is no record."""
    if not path.is_file():
        return None
    content: Mapping[str, Any] = read_json(path)
    try:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return CheckpointRecord(**{**values, "given": Given(**content["given"])})
    except (TypeError, KeyError) as error:
        raise RunError(f"{path} is not a record of a checkpoint: {error}. Look at the checkpoint again.") from error
