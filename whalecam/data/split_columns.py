"""Columns of a table that state a split, and the words for its parts."""

import pandas as pd

from whalecam.data.matching import SPLITS

TRAIN, VALID, TEST = "train", "valid", "test"
PARTS = {word: VALID if part == "val" else part for word, part in SPLITS.items()}
"""Words for a part, in lower case → TRAIN, VALID or TEST."""
PART_COLUMNS, FOLD_COLUMNS = ("part", "split", "subset", "partition"), ("fold", "fold_id", "kfold")
ALWAYS_TRAINED = "-1"
"""In a column of folds: in every training part, as scikit-learn's PredefinedSplit has it."""
MOST_FOLDS = 20


def is_number(text: str) -> bool:
    """Whether a cell is the number of a fold."""
    return text.removeprefix("-").isdecimal() and len(text) < 10


def proposed_split(frame: pd.DataFrame, name: str) -> tuple[str, ...]:
    """A sentence on the column of a table that states a split, which nobody has asked for."""
    for column in map(str, frame.columns):
        counts = frame[column].str.strip().value_counts()
        values = [str(value) for value in counts.index if value]
        is_part = column.casefold() in PART_COLUMNS and all(value.casefold() in PARTS for value in values)
        is_fold = column.casefold() in FOLD_COLUMNS and all(is_number(value) for value in values)
        if values and (is_part or (is_fold and len(values) <= MOST_FOLDS)):
            listed = ", ".join(f"{value}: {counts[value]:,}" for value in sorted(values))
            return (
                f"The column '{column}' states a split ({listed}). Training draws its own; to use this one, name "
                f"{name} as --split-file.",
            )
    return ()
