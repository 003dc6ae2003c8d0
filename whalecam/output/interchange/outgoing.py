"""What goes out to other tools: one item per image, the same for every format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from whalecam.arrays import records
from whalecam.config import Columns
from whalecam.data import Dataset, open_dataset
from whalecam.data.outlines import Bools
from whalecam.errors import DatasetError
from whalecam.explain.render import unpack_mask
from whalecam.output.csv.flagcsv import NUMBERS
from whalecam.store.run import Run
from whalecam.store.table import Table
from whalecam.store.table.masks import stored_masks
from whalecam.words import Words

Cells = Mapping[str, str | float]
"""The row of the verdict file: `flagcsv.COLUMNS` without those that are empty."""
ORIENTATION = "upright"
"""All coordinates are those of the image as it is displayed, with its EXIF rotation undone."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image.

    Attributes:
        image: its name in the run.
        file: its path below the folder of the images, with `/`; never absolute, never with `..`.
        cells: its row of the verdict file.
        width, height: of the upright image, in pixels; 0 where the audit could not read it.
        mask: bool (MASK_GRID, MASK_GRID) over the whole upright image, True on the subject; None without one.
    """

    image: str
    file: str
    cells: Cells
    width: int = 0
    height: int = 0
    mask: Bools | None = None

    def text(self, column: str) -> str:
        """A cell as text; empty where there is none."""
        return str(self.cells.get(column, ""))

    def number(self, column: str) -> float | None:
        """A cell of NUMBERS; None where there is none."""
        value = self.cells.get(column)
        return value if isinstance(value, float) else None


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What one export writes.

    Attributes:
        run: name of the run.
        network: the architecture and the first digits of its SHA-256.
        rows: the rows of the verdict file, in the order of `items`.
        folder: of the images; None where they could not be found.
        subject: the run's word for what its masks show.
        notes: what is missing, a sentence each.
    """

    run: str
    network: str
    rows: pd.DataFrame
    items: Sequence[Item]
    folder: Path | None = None
    subject: str = Words.subject
    notes: Sequence[str] = ()

    @property
    def labels(self) -> list[str]:
        """The labels of the items, sorted."""
        return sorted({item.text("label") or self.subject for item in self.items})


def outgoing(run: Run, table: Table, rows: pd.DataFrame, data: Dataset | None = None) -> Outgoing:
    """The images of `rows` with their files, sizes and masks.

    Args:
        table: of the run.
        rows: of the verdict file, as `csv.verdict_rows` returns them.
        data: the data set of the run where it is open already; else it is opened.
    """
    files, folder, notes = _files(run, data)
    sizes = {row["image"]: (row["width"], row["height"]) for row in records(_sizes(table))}
    masks = stored_masks(run.parts(), set(rows["image"]))
    items = []
    for cells in _cells(rows):
        name = str(cells["image"])
        raw, (width, height) = masks.get(name), sizes.get(name, (0, 0))
        mask = unpack_mask(raw) if raw and width and height else None
        file = files.get(name) or safe_path(name)
        items.append(Item(image=name, file=file, cells=cells, width=width, height=height, mask=mask))
    made_by = f"{run.manifest.network.get('arch', 'network')} {run.manifest.model_sha256[:12]}".strip()
    return Outgoing(
        run=run.name,
        network=made_by,
        rows=rows,
        items=items,
        folder=folder,
        subject=run.words.subject,
        notes=notes,
    )


def safe_path(name: str) -> str:
    """A name as a relative path: of one that leads out of a folder, or begins elsewhere, the last part alone."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    leads_out = not parts or ".." in parts or parts[0] in ("/", "//", "~") or ":" in parts[0]
    last = parts[-1] if parts and parts[-1] not in ("..", "/", "//") else "unnamed"
    return last.replace(":", "_") if leads_out else "/".join(parts)


def _files(run: Run, data: Dataset | None) -> tuple[dict[str, str], Path | None, list[str]]:
    """The relative path of each image that has a file, the folder, and what to say where there is none."""
    record = run.manifest.dataset
    try:
        folder = Path(record.images) if record.images else None
        data = data or open_dataset(Path(record.csv), folder, Columns(**record.columns), needs_group=False)
    except DatasetError as error:
        return {}, None, [f"The images are named as in the run, since its data set cannot be opened: {error}"]
    if data.images is None:
        return {}, None, ["The images are named as in the run, which has no folder of images."]
    start = len(str(data.images).rstrip("/")) + 1
    pairs = zip(data.table["image"], data.table["path"], strict=True)
    return {name: path[start:].replace("\\", "/") for name, path in pairs if path}, data.images, []


def _sizes(table: Table) -> pd.DataFrame:
    sizes = table.all_rows()[["image", "width", "height"]]
    return sizes.fillna(0).astype({"width": int, "height": int})


def _cells(rows: pd.DataFrame) -> list[dict[str, str | float]]:
    """The rows without empty cells; numbers with the digits that their own precision has, as in the CSV."""
    names = [str(name) for name in rows]
    columns = {name: [float(str(v)) if name in NUMBERS else str(v) for v in rows[name]] for name in names}
    filled = zip(*(columns[name] for name in names), strict=True)
    return [{n: v for n, v in zip(names, values, strict=True) if v != "" and v == v} for values in filled]
