"""A run's row under another mask: put in the place of the one before, taken back, and done again."""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa

from whalecam.config import WRONG_MASK
from whalecam.errors import RunError
from whalecam.store.reviews import Corrections, Journal
from whalecam.store.reviews.corrections import Correction
from whalecam.store.reviews.review import signed
from whalecam.store.run import Run
from whalecam.store.schema import MASKED, SCHEMA

STEPS = ("undo", "redo")
NAME_BYTES = 255
"""Of a file's name, as file systems take it."""


class StaleRowError(RunError):
    """The row is not the one that an undo or redo would replace: the run was audited again since."""


def corrected_path(run: Run, image: str) -> Path:
    """Where the corrected mask of an image lies: under the image's whole name, from which no path leads out."""
    return run.corrected_masks / _below(image, ".png")


def drawn_path(run: Run, image: str) -> Path:
    """Where a mask waits that was drawn on a page, until its row is made; another name in each call."""
    digest = hashlib.sha256(image.encode()).hexdigest()[:16]
    return run.drawn_masks / f"{digest}-{uuid.uuid4().hex[:8]}.png"


def _below(image: str, ending: str) -> str:
    """A name of an image as the path of a file in a folder; a hash where it would lead out of it, or is too long."""
    parts = image.replace("\\", "/").split("/")
    is_safe = all(part not in ("", ".", "..") and part.isprintable() for part in parts) and ":" not in parts[0]
    is_short = all(len(f"{part}{ending}".encode()) <= NAME_BYTES for part in parts)
    return f"{image}{ending}" if is_safe and is_short else f"{hashlib.sha256(image.encode()).hexdigest()[:24]}{ending}"


def masked(row: pa.Table) -> pa.Table:
    """The columns of a row that rest on its mask."""
    return row.select(list(MASKED))


def correct(run: Run, image: str, *, reviewer: str, mask: bytes, after: pa.Table) -> None:
    """Sign a corrected mask and put what was measured under it into the image's row.

    Args:
        mask: the PNG file.
        after: one row with the columns MASKED.

    The journal is written first: what follows can be done again from it. Raises RunError where the image has no row or
    the run cannot be written to, ReviewError without a reviewer's name.
    """
    row = run.row_of(image)
    Corrections.of(run).add(image, reviewer=signed(reviewer), mask=mask, before=masked(row), after=after)
    _put(run, image, row, after, mask)


def step(run: Run, image: str, reviewer: str, name: str) -> Correction | None:
    """Take the newest correction of an image back (`undo`), which brings the row before it back exactly, or `redo` it.

    Returns: the correction; None where there is none. Raises StaleRowError where the run was audited again since,
    RunError where the run cannot be written to, ReviewError without a reviewer's name.
    """
    reviewer, correction = signed(reviewer), _newest(run, image, name)
    if correction is None:
        return None
    here, goal = (correction.after, correction.before) if name == "undo" else (correction.before, correction.after)
    row = run.row_of(image)
    if not _alike(masked(row), here):
        raise StaleRowError(
            f"'{image}' was audited again since its mask was corrected, so the earlier row does not fit any more. "
            f"Measure it under the mask that counts then: whalecam remask {run.path} {image} --{name} --reviewer NAME"
        )
    _note(run, correction, reviewer, name)
    _put(run, image, row, goal, mask_after(run, image))
    return correction


def note(run: Run, image: str, reviewer: str, name: str) -> None:
    """Write an `undo` or `redo` of the newest correction into the journal, and leave the row as it is."""
    if (correction := _newest(run, image, name)) is not None:
        _note(run, correction, reviewer, name)


def _newest(run: Run, image: str, name: str) -> Correction | None:
    """What `undo` or `redo` speaks of."""
    corrections = Corrections.of(run)
    return corrections.standing(image) if name == "undo" else corrections.undone(image)


def _note(run: Run, correction: Correction, reviewer: str, name: str) -> None:
    corrections = Corrections.of(run)
    (corrections.undo if name == "undo" else corrections.redo)(correction, signed(reviewer))


def mask_after(run: Run, image: str) -> bytes | None:
    """The corrected mask of an image that stands, as a PNG file; None where its own mask counts."""
    standing = Corrections.of(run).standing(image)
    return standing.mask if standing else None


def put_row(run: Run, image: str, after: pa.Table) -> None:
    """Put what was measured under the mask that stands into the image's row, and its file into the folder."""
    _put(run, image, run.row_of(image), after, mask_after(run, image))


def put_mask(run: Run, image: str) -> None:
    """Put the corrected mask of an image that stands into the folder, or none."""
    with written(run, image):
        write_mask(corrected_path(run, image), mask_after(run, image))


def corrected_masks(run: Run, corrections: Corrections | None = None) -> dict[str, Path]:
    """Image → the file of its corrected mask that stands; files that are missing are written from the journal."""
    corrections = corrections or Corrections.of(run)
    paths = {image: corrected_path(run, image) for image in corrections.moments()}
    for image, path in paths.items():
        standing = None if path.is_file() else corrections.standing(image)
        if standing is not None:
            write_mask(path, standing.mask)
    return paths


def latest_reviews(journal: Journal, corrections: Corrections) -> pd.DataFrame:
    """`Journal.latest` without rejections of masks that were corrected since."""
    latest = journal.latest()
    moments = latest["image"].map(corrections.moments()) if len(latest) else pd.Series(dtype=str)
    is_settled = (latest["reason"] == WRONG_MASK) & moments.notna() & (latest["reviewed_at"] <= moments.fillna(""))
    return latest[~is_settled].reset_index(drop=True)


def _put(run: Run, image: str, row: pa.Table, values: pa.Table, mask: bytes | None) -> None:
    """The row with other values in the columns MASKED, and the file of its corrected mask, or none."""
    for name in MASKED:
        column = values[name].cast(SCHEMA.field(name).type)
        row = row.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), column)
    with written(run, image):
        run.replace_row(image, row)
        write_mask(corrected_path(run, image), mask)


@contextmanager
def written(run: Run, image: str) -> Iterator[None]:
    """Where the run cannot be written to, RunError in words."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"Run '{run.name}' cannot be written to ({error.strerror}), so the mask of '{image}' is not in its "
            "row. Give the folder the right to be written to, and do it again."
        ) from error


def write_mask(path: Path, mask: bytes | None) -> None:
    """A mask's file, whole or not at all; None removes it."""
    if mask is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name[-100:]}.writing")
    aside.write_bytes(mask)
    aside.replace(path)


def _alike(here: pa.Table, other: pa.Table) -> bool:
    """By their values as texts, for which NaN is NaN."""
    return repr(here.to_pylist()) == repr(other.cast(here.schema).to_pylist())
