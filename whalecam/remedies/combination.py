"""A remedy, or a training and then another last layer, written to a run of its own."""

from dataclasses import replace

from whalecam.arrays import Report, silent
from whalecam.audit import run_audit
from whalecam.config import LAYER_REMEDIES, MaskOptions, TrainOptions, clash_of, mending_of, parts_of
from whalecam.data import Dataset, inspect_images
from whalecam.errors import DatasetError
from whalecam.network.training import Cue
from whalecam.remedies.training import refit, train
from whalecam.store.run import Run


def apply(
    data: Dataset, run: Run, source: Run, options: TrainOptions, *, report: Report = silent, cue: Cue | None = None
) -> None:
    """Apply `options.remedy` and write the networks to `run`, under its full name when all of it is done.

    Of two, the training comes first and changes the last layer afterwards by the images it was trained on: mended ones
    after `crop` and `neutral`, as they are after `shuffle` and `restrict`.

    Args:
        source: the run whose last layers are changed where nothing is trained.
        cue: what `project` removes; None: the background.

    The metrics are in the run. Raises DatasetError for parts that cannot follow each other; else as `train` and
    `refit`.
    """
    if clash := clash_of(options.remedy):
        raise DatasetError(clash)
    first, *rest = parts_of(options.remedy)
    if first in LAYER_REMEDIES:
        refit(data, run, source, options, report=report, cue=cue)
        return
    train(data, run, replace(options, remedy=first), report)
    if not rest:
        return
    seen = inspect_images(run_audit.open_data(run), report)
    where = mended_masks(run) if mending_of(first) else options
    refit(seen, run, run, options, report=report, cue=cue, where=where)


def mended_masks(run: Run) -> MaskOptions:
    """The masks of the mended images that a run was trained on."""
    folder = run.remedied / "masks"
    drawn = any(path.is_file() for path in folder.rglob("*"))  # nothing is drawn where no animal was found
    return MaskOptions(masks=str(folder) if drawn else None)
