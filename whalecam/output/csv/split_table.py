"""The split of a run as a table that `--split-file` and others read."""

import pandas as pd

from whalecam.data import OK, Dataset
from whalecam.data.split_columns import TEST, TRAIN, VALID
from whalecam.errors import RunError
from whalecam.store.run import Run


def split_table(run: Run, data: Dataset) -> pd.DataFrame:
    """Each usable image of a run's classes once: `image`, `fold` and `part`, all text, in the order of the data set.

    `fold` is the number of the network that validates the image, empty without one. `part` is `valid` for these,
    `train` for what every network was trained on, and `test` for what no network was trained or validated on.

    Raises RunError for a run without a network, and for one whose training images are not known.
    """
    if not run.trained:
        raise RunError(f"Run '{run.name}' has no trained network, and so no split. Train it first.")
    trained = [run.training_images(fold) for fold in range(run.folds)]
    if not any(trained):
        raise RunError(f"Run '{run.name}' was loaded: which images its network was trained on is not known.")
    validated = [run.validation_images(fold) for fold in range(run.folds)]
    table = data.table
    known = set().union(*trained, *validated)  # under labels that were merged too
    is_own = table["image"].isin(known) | table["label"].isin(run.manifest.classes)
    own = table[(table["status"] == OK) & (table["path"] != "") & is_own]
    images = own["image"].drop_duplicates().tolist()
    if not any(validated):  # a run from before validation images were noted: what one network lacks is validated by it
        validated = [set(images) - names for names in trained]
    rows = [(image, *_place(image, trained, validated)) for image in images]
    return pd.DataFrame(rows, columns=["image", "fold", "part"], dtype=str)


def _place(image: str, trained: list[set[str]], validated: list[set[str]]) -> tuple[str, str]:
    """Fold and part of an image."""
    fold = next((number for number, names in enumerate(validated) if image in names), None)
    if fold is not None:
        return str(fold), VALID
    return "", TRAIN if all(image in names for names in trained) else TEST
