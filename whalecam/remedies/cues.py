"""Which images carry the cue that the remedy `project` removes."""

from pathlib import Path

from whalecam.config import BACKGROUND, FLAGGED, LEAKS
from whalecam.data import Dataset
from whalecam.data.image_list import read_image_list
from whalecam.errors import RunError
from whalecam.network.training import Cue
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Journal
from whalecam.store.run import Run
from whalecam.store.table import Filters

LISTED = ("confirmed_leak", "hidden_reliance", "background_reliance")
"""Assessments of images whose prediction relies on the background."""


def cue_of(run: Run, data: Dataset, named: str = BACKGROUND) -> Cue:
    """The cue that a name out of CUES or a file stands for.

    Flagged and listed images are compared within each label, whose cue may be another than that of the next; a file
    names the images of a single cue, whatever their labels.

    Raises RunError where no image is flagged, listed or audited, DatasetError for a file as `read_image_list`.
    """
    if named == BACKGROUND:
        return Cue(name=named)
    if named not in (FLAGGED, LEAKS):
        path = Path(named).resolve()
        given = read_image_list(path, data)
        return Cue(name=str(path), carriers=frozenset(given.images), note=given.note)
    images = _flagged(run) if named == FLAGGED else frozenset(open_table(run).images(Filters(assessments=LISTED)))
    if not images:
        what = "flagged" if named == FLAGGED else "listed as relying on its background"
        raise RunError(f"No image of run '{run.name}' is {what}, so there is no cue. Name its images: --cue FILE.")
    return Cue(name=named, carriers=images, is_per_label=True)


def _flagged(run: Run) -> frozenset[str]:
    latest = Journal.of(run).latest()
    return frozenset(latest.loc[latest["verdict"] == "flag", "image"])
