"""What is wrong with the labels themselves: contradictions, placeholders, lists of labels, a single class."""

import re

import pandas as pd

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.data.placeholders import is_placeholder
from whalecam.data.table import SEVERAL_LABELS

LISTED = 5
SURE_LIST, PERHAPS_LIST = re.compile(r"\s*[;|]\s*"), re.compile(r"\s*[,/+&]\s*")
"""Signs that separate the labels of a list, and those that names contain too."""


def label_values(evidence: Evidence) -> list[Finding]:
    """Images with contradicting labels, placeholders, lists of labels, and a set with a single label."""
    good = evidence.data.good()
    detected = (_contradictions(evidence.data.table), _placeholders(good), _lists(good), _single(good))
    return [finding for finding in detected if finding]


def _contradictions(table: pd.DataFrame) -> Finding | None:
    rows = table[table["status"] == SEVERAL_LABELS]
    if rows.empty:
        return None
    image = rows["path"].where(rows["path"] != "", rows["image"])
    labels = rows["label"].groupby(image, sort=False).agg(lambda own: ", ".join(sorted(set(own))))
    images, all_images = len(labels), table.loc[table["image"] != "", "image"].nunique()
    first = rows["image"].iloc[0]
    return Finding(
        "several_labels",
        "high",
        f"{images:,} of {all_images:,} images have rows with different labels, as {first}: {labels.iloc[0]}.",
        "An image has one label here. Which of them is right cannot be known, so training and audit leave all these "
        "rows out.",
        "Keep the row with the right label and delete the others.",
        facts={"images": images, "of": all_images, "rows": len(rows)},
        rows=rows.drop(columns=["path", "status"]).sort_values(["image", "label"]),
    )


def _placeholders(good: pd.DataFrame) -> Finding | None:
    counts = good["label"].value_counts()
    words = [str(label) for label in counts.index if is_placeholder(str(label))]
    if not words:
        return None
    return _labelled(
        good,
        words,
        "placeholder_labels",
        "have a label that means no label",
        "A network learns such a label as a class of its own, in which all classes are mixed.",
        "If it is none, empty these cells, so that the rows are left out.",
    )


def _lists(good: pd.DataFrame) -> Finding | None:
    counts = good["label"].value_counts()
    names = {str(label) for label in counts.index}
    lists = sorted(name for name in names if is_list(name, names))
    if not lists:
        return None
    return _labelled(
        good,
        lists,
        "label_lists",
        "have a label that looks like a list",
        "Each list counts as one class of its own, since WhaleCAM needs one label per image.",
        "Write one label per image, or leave out the images that show several.",
    )


def _labelled(good: pd.DataFrame, names: list[str], *texts: str) -> Finding:
    """A finding on the images with these labels. Args: texts: its code, what it is, why it matters, what to do."""
    code, what, why, advice = texts
    rows, counts = good[good["label"].isin(names)], good["label"].value_counts()
    return Finding(
        code,
        "medium",
        f"{len(rows):,} of {len(good):,} images {what}: {_listed(counts, names)}.",
        why,
        advice,
        facts={"images": len(rows), "labels": {name: int(counts[name]) for name in names}},
        rows=rows.drop(columns=["path", "status"]),
    )


def is_list(name: str, names: set[str]) -> bool:
    """Whether a label is several of the labels: by `;` and `|` if one is among them, by other signs if all are."""
    parts = SURE_LIST.split(name)
    if len(parts) > 1 and all(parts):
        return any(part in names for part in parts)
    parts = PERHAPS_LIST.split(name)
    return len(parts) > 1 and all(part in names for part in parts)


def _single(good: pd.DataFrame) -> Finding | None:
    if good["label"].nunique() != 1:
        return None
    return Finding(
        "one_class",
        "high",
        f"All {len(good):,} usable images have one label, '{good['label'].iloc[0]}'.",
        "There is nothing to tell apart: a network is right without looking at any image.",
        "Choose another label column, or add images of another class.",
        facts={"images": len(good)},
    )


def _listed(counts: "pd.Series[int]", names: list[str]) -> str:
    listed = ", ".join(f"'{name[:40]}' ({counts[name]:,})" for name in names[:LISTED])
    return f"{listed}, …" if len(names) > LISTED else listed
