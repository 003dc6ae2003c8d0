"""Which columns of a table are the image, the label and the group."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from whalecam.config import IMAGE_SUFFIXES, Columns
from whalecam.data.faults import fault
from whalecam.data.one_hot import one_hot_labels
from whalecam.data.readers.tables.contents import TableContents

IMAGE_ALIASES = (
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "file",
    "path",
    "image_path",
    "image_name",
    "image_id",
)
LABEL_ALIASES = ("label", "class", "category", "common_name", "scientific_name")
ONE_HOT = "label"
"""The column of labels that a table gets which has a column for each label; a run calls its labels by it."""
HEADER = 12
"""Column names that an error lists."""


def resolved(
    contents: TableContents, columns: Columns, name: str, *, needs_group: bool = True
) -> tuple[Columns, tuple[str, ...]]:
    """The columns as the table spells them, and in words what was taken in place of a default.

    A column is meant exactly, else in another case where that is unique; where the format of the table fixes it, that;
    and in place of a default name that is absent, the only usual name that is present.

    Args:
        name: what messages call the table.
        needs_group: whether a named group column that is absent is an error; else it is noted.

    Raises DatasetError that lists the columns there are.
    """
    present = [str(column) for column in contents.frame.columns]
    notes: list[str] = []
    image = _column(present, columns.image, contents.image, IMAGE_ALIASES if columns.image == Columns.image else ())
    label = _column(present, columns.label, contents.label, LABEL_ALIASES if columns.label == Columns.label else ())
    if image is None or label is None:
        raise fault(_absent(name, present, columns.image if image is None else columns.label))
    for wanted, used, fixed in ((columns.image, image, contents.image), (columns.label, label, contents.label)):
        if used != wanted and used != fixed:
            notes.append(f"{name} has no column '{wanted}'; used '{used}'.")
    group = _spelled(present, columns.group) or columns.group
    if group not in present and columns.group != Columns.group:
        if needs_group:
            raise fault(_absent(name, present, columns.group))
        notes.append(no_groups(name, columns.group))
    return Columns(image, label, group), tuple(notes)


def no_groups(name: str, group: str) -> str:
    """The sentence on a table without the group column that a run names."""
    return (
        f"{name} has no column '{group}', which the run takes its groups from. No groups are used: each image counts "
        "as one of its own."
    )


def with_one_hot(contents: TableContents, columns: Columns, name: str) -> tuple[TableContents, tuple[str, ...]]:
    """A table without a column of labels, but with a column for each label, gets the column ONE_HOT."""
    present = [str(column) for column in contents.frame.columns]
    aliases = LABEL_ALIASES if columns.label == Columns.label else ()
    is_named = columns.label not in (Columns.label, ONE_HOT)
    if is_named or _column(present, columns.label, contents.label, aliases):
        return contents, ()
    labels = one_hot_labels(contents.frame, name)
    if labels is None:
        return contents, ()
    label = columns.label if ONE_HOT in present else ONE_HOT
    return replace(contents, frame=contents.frame.assign(**{label: labels[0]}), label=label), (labels[1],)


def _column(present: Sequence[str], wanted: str, fixed: str | None, aliases: Iterable[str]) -> str | None:
    if (spelled := _spelled(present, wanted)) or fixed:
        return spelled or fixed
    usual = [column for alias in aliases if (column := _spelled(present, alias))]
    return usual[0] if len(usual) == 1 else None


def _spelled(present: Sequence[str], wanted: str) -> str | None:
    """A column of this name: exactly, else the only one in another case."""
    if wanted in present:
        return wanted
    alike = [column for column in present if column.casefold() == wanted.casefold()]
    return alike[0] if len(alike) == 1 else None


def _absent(name: str, present: Sequence[str], wanted: str) -> str:
    has = ", ".join(column[:40] for column in present[:HEADER])
    if any(column.lower().endswith(IMAGE_SUFFIXES) for column in present):
        return (
            f"{name} has no line of column names: it begins with a row of data, {has}. Add a line such as image,label."
        )
    return f"{name} has no column '{wanted}'. It has: {has}. Name the column with an option."
