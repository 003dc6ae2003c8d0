"""Labels in columns of their own, with 1 in the column of an image's label and 0 in all others."""

import pandas as pd

from whalecam.data.faults import fault

NO, YES = frozenset(("0", "0.0", "False", "false", "")), frozenset(("1", "1.0", "True", "true"))


def one_hot_labels(frame: pd.DataFrame, name: str) -> "tuple[pd.Series[str], str] | None":
    """The label of each row, and a sentence that names the columns; None where there are no such columns.

    Args:
        name: what messages call the table.

    Raises DatasetError where a row has several labels: which of them is meant cannot be known.
    """
    columns = [column for column in frame.columns if set(frame[column].unique()) <= NO | YES]
    columns = [column for column in columns if frame[column].isin(YES).any()]
    if len(columns) < 2:
        return None
    marks = frame[columns].isin(YES)
    listed = ", ".join(str(column) for column in columns[:8]) + (", …" if len(columns) > 8 else "")
    several = int((marks.sum(axis=1) > 1).sum())
    if several:
        raise fault(
            f"{name} has a column for each label ({listed}), but {several:,} of {len(frame):,} rows have several "
            "labels. WhaleCAM needs one label per image: write it into one column, and name that as the label column."
        )
    labels = marks.idxmax(axis=1).where(marks.any(axis=1), "").astype(str)
    return labels, f"Read the {len(columns):,} columns {listed} as the labels of one row each (one-hot)."
