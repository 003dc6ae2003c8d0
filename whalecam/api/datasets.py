"""Data sets: open, unpack, check."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from whalecam import data as dataset
from whalecam.analysis import findings
from whalecam.analysis.findings import Finding
from whalecam.analysis.findings.measuring import measured
from whalecam.api.options import PathLike, with_options
from whalecam.arrays import Report, silent
from whalecam.config import Columns, MaskOptions
from whalecam.data import Dataset, unpacking
from whalecam.data.groups import candidate
from whalecam.data.unpacking import Unpacked
from whalecam.explain import masks


class HasPandas(Protocol):
    """A table that can become one of pandas, such as one of polars or pyarrow."""

    def to_pandas(self) -> pd.DataFrame: ...


def open_dataset(
    csv: "PathLike | pd.DataFrame | HasPandas",
    images: PathLike | None = None,
    *,
    image_column: str = Columns.image,
    label_column: str = Columns.label,
    group_column: str = Columns.group,
    group: str = "",
) -> Dataset:
    """Read a table and join it with the files of a folder by name.

    Args:
        csv: a file with a table (docs/data.md), a folder of class folders, or a table of pandas, polars or pyarrow.
        images: the folder of the images; None for class folders, and for a look at the table only.
        image_column, label_column, group_column: names of its columns. Where a default name is absent, the only usual
            name that is present is taken, and `notes` says so. A table need not have groups, unless you name their
            column.
        group: what `train` and `check` keep together in a split: `folder`, `source`, `photographer`, `camera`, `day`,
            `place` or a column of the table (docs/data.md); empty: the individual, which is the `group_column`.

    Returns: the data set; `problems` lists every unusable row, `notes` states how rows and files were joined.
    Raises DatasetError for a file that is no such table, for a column or a group that is missing, and for a missing
    folder.
    """
    columns = Columns(image_column, label_column, group_column)
    folder = Path(images) if images is not None else None
    if isinstance(csv, str | Path):
        data = dataset.open_dataset(Path(csv), folder, columns)
    else:
        data = dataset.of_frame(csv if isinstance(csv, pd.DataFrame) else csv.to_pandas(), folder, columns)
    if group:
        candidate(data, group)
    return replace(data, group=group)


def unpack(files: Sequence[PathLike], out: PathLike, *, report: Report = silent) -> Unpacked:
    """Write the images inside Parquet files, as of Hugging Face, to `out/images`, and a table to `out/table.csv`.

    Args:
        files: the parts of one data set, in their order.
        out: a new or empty folder, or that of an earlier call, which then goes on.

    Returns: where both lie, for `open_dataset`, and counts. Raises DatasetError for files that are no Parquet or
    contain no images, for parts with other columns than the first, and for a folder that contains something else.
    """
    return unpacking.unpack([Path(file) for file in files], Path(out), report)


def check(
    data: Dataset,
    *,
    boxes: Sequence[PathLike] = (),
    masks_folder: PathLike | None = None,
    subject: str | None = None,
    background: str | None = None,
    group: str = "",
    report: Report = silent,
    **options: Any,
) -> list[Finding]:
    """What is wrong with a data set; no network is needed. Reads every image, if there is a folder.

    Args:
        boxes: box files or folders of the subjects.
        masks_folder: a folder of masks named like the images.
        subject, background: nouns for what the images show and before what, as in `car` and `road`; None: `object` and
            `background`.
        group: what stays together where findings test out-of-fold, as in `open_dataset`; empty: the data set's own.
        options: further fields of `MaskOptions`, such as `box_orientation="upright"`.

    Returns: the findings, worst first, each with its `severity` (`high`, `medium`, `low`, `info`), a sentence, why it
    matters, what to do, and its affected `rows`. Raises TypeError for an unknown option, DatasetError for a group that
    is missing, for boxes and masks that cannot be read, join no image or would be read wrongly, and for what is no
    noun.
    """
    words = data.words(subject or "", background or "")
    named = {"masks": masks_folder, "boxes": tuple(boxes)}
    joined = masks.joined(data, masks.opened(with_options(MaskOptions(), {**named, **options})), report).sources
    if wanted := group or data.group:
        candidate(data, wanted)
    data, properties = measured(data, joined, report=report)
    return findings.find(findings.Evidence(data, joined.boxes, properties, run_words=words, group=wanted))
