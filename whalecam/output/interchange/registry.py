"""The registry of formats, and which of them a file is of."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from whalecam.data.readers.boxes.source import Source
from whalecam.data.readers.registered import with_offered
from whalecam.errors import ReviewError
from whalecam.output.csv.flagcsv import read_csv
from whalecam.output.interchange import camtrap_dp, coco, cvat, fiftyone, huggingface, label_studio
from whalecam.output.interchange.archive import unpacked
from whalecam.output.interchange.outgoing import Outgoing
from whalecam.output.interchange.returned import Contents, verdict_frame
from whalecam.storage_errors import unwritable


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of another tool.

    Attributes:
        title: as pages name it.
        file: the name of its file; empty for a format of several files.
        write: returns the content of each file by its name, which is relative and has no `..`.
        read: returns None for what is of another format; raises DatasetError for what is of this one but unusable.
        note: what it needs and a run does not know; a sentence, empty where there is nothing.
    """

    title: str
    file: str = ""
    write: Callable[[Outgoing], Mapping[str, bytes]]
    read: Callable[[Source], Contents | None]
    note: str = ""


FORMATS: Mapping[str, Format] = {
    "huggingface": Format(title="Hugging Face", write=huggingface.write, read=huggingface.read),
    "fiftyone": Format(title="FiftyOne", write=fiftyone.write, read=fiftyone.read),
    "label-studio": Format(title="Label Studio", write=label_studio.write, read=label_studio.read),
    "cvat": Format(title="CVAT", file=cvat.FILE, write=cvat.write, read=cvat.read),
    "coco": Format(title="COCO", file=coco.FILE, write=coco.write, read=coco.read),
    "camtrap-dp": Format(title="Camtrap DP", write=camtrap_dp.write, read=camtrap_dp.read, note=camtrap_dp.NOTE),
}
"""By the name that `--to` takes, in the order in which a file is offered to their readers; only the first of them
takes lines of JSON, which to the others are broken JSON."""
ENTRY_POINTS = "whalecam.interchange"
"""The group of entry points under which other packages offer a Format."""


def formats() -> dict[str, Format]:
    """FORMATS, then those of other packages."""
    return with_offered(FORMATS, ENTRY_POINTS)


def write_files(files: Mapping[str, bytes], out: Path) -> Path:
    """Write a format's only file to `out`, or into it where it is a folder; several into the folder `out`.

    Returns the file or the folder. Raises ReviewError where `out` cannot be written.
    """
    target = out / next(iter(files)) if len(files) == 1 and out.is_dir() else out
    places = (
        {target: next(iter(files.values()))} if len(files) == 1 else {out / name: raw for name, raw in files.items()}
    )
    try:
        for path, content in places.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        other = f"{out} cannot be written: {error.strerror}. Name a new file or folder."
        raise ReviewError(unwritable(error) or other) from error
    return target


def read_verdicts(path: Path, known: Collection[str], reviewer: str = "") -> pd.DataFrame:
    """The verdicts of a file, folder or ZIP archive of any of `formats`, or of a verdict CSV, for `csv.merge`.

    Args:
        known: names of the images of the run.
        reviewer: who signs the verdicts for which the file names nobody; see `verdict_frame`.

    Raises ReviewError or DatasetError where it is no such file, or holds no verdict.
    """
    with unpacked(path) as place:
        source = Source(place)
        for form in formats().values() if place.exists() else ():
            contents = form.read(source)
            if contents is not None:
                return verdict_frame(contents, known, reviewer)
        if source.kind == "table":
            return read_csv(place)
        titles = ", ".join(form.title for form in formats().values())
        raise ReviewError(f"{path.name} is not a file of verdicts. WhaleCAM reads its own CSV, {titles}. {source.seen}")
