"""The commands that pages start for a run: its data set, with the masks and boxes that it has."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

import pandas as pd

from whalecam.commands import Check, Load, Train
from whalecam.config import MASK_OPTIONS, AuditOptions, Columns, MaskOptions, TrainOptions
from whalecam.data.csv_text import safe_csv
from whalecam.errors import ModelError
from whalecam.store.checkpoint_record import CheckpointRecord
from whalecam.store.run import Run

NO_REMEDY = TrainOptions.remedy


def masks_of(run: Run) -> MaskOptions:
    """The masks and boxes of the run's audit; before it, those that were chosen with its data set."""
    stored = AuditOptions.stored(run.manifest.audit)
    return MaskOptions(**{name: getattr(stored, name) for name in MASK_OPTIONS})


def check_of(run: Run) -> Check:
    """Measure all images of the run's data set."""
    record = run.manifest.dataset
    columns = Columns(**record.columns)
    return Check(csv=record.csv, images=record.images, keep=str(run.properties), columns=columns, masks=masks_of(run))


def train_of(run: Run, options: TrainOptions, *, audit: bool = False, merges: Mapping[str, str] | None = None) -> Train:
    """Train into the run, and audit it at once where that is wished.

    A remedy and the audit read the run's masks and boxes; without both they wait for a later audit.

    Args:
        merges: the labels map, old → new; None: that of the run.
    """
    masks = masks_of(run) if audit or options.remedy != NO_REMEDY else MaskOptions()
    return Train(**of_data(run, merges), options=replace(options, **vars(masks)), audit=audit)


def load_of(run: Run, record: CheckpointRecord, *, audit: bool) -> Load:
    """Load a checkpoint as it was looked at, and audit with the run's masks and boxes at once."""
    masks = masks_of(run) if audit else MaskOptions()
    return Load(**of_data(run), checkpoint=record.checkpoint, **vars(record.given), audit=audit, masks=masks)


class DataFields(TypedDict):
    """The fields of a command that reads a data set and writes into a run."""

    csv: str
    images: str
    run: str
    columns: Columns
    labels_map: str | None


def of_data(run: Run, merges: Mapping[str, str] | None = None) -> DataFields:
    """The run's data set, and the run, for a command; a labels map is written into the run folder for it.

    Args:
        merges: as in `train_of`.

    Raises ModelError where the run has no images.
    """
    record = run.manifest.dataset
    if not record.images:
        raise ModelError("This run has no image folder. Open the data set again with its folder, on the Dataset page.")
    columns, merges = Columns(**record.columns), record.merges if merges is None else merges
    if merges:
        run.labels_map.write_bytes(safe_csv(pd.DataFrame(sorted(merges.items()), columns=["old", "new"], dtype=str)))
    labels_map = str(run.labels_map) if merges else None
    return {
        "csv": record.csv,
        "images": record.images,
        "run": str(run.path),
        "columns": columns,
        "labels_map": labels_map,
    }
