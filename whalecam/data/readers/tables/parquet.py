"""Parquet files."""

from pathlib import Path
from typing import Any

from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import TableContents, as_texts
from whalecam.data.readers.tables.hugging_face import class_names, image_columns, named, names_note

MARK = b"PAR1"


def read_parquet(path: Path) -> TableContents | None:
    """All columns as texts; ids of classes as their names, where the file states them.

    Raises DatasetError for a broken file, and for images stored in the table itself.
    """
    if not path.is_file() or not _is_parquet(path):
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        _check_flat(path, schema)
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise broken(path) from error
    frame, notes = as_texts(table.to_pandas()), []
    for column, names in class_names(schema.metadata).items():
        if column in frame and pa.types.is_integer(schema.field(column).type):
            frame[column], nameless = named(table[column].to_pylist(), names)
            notes.append(names_note(column, names, nameless))
    return TableContents(frame=frame, notes=tuple(notes))


def broken(path: Path) -> Exception:
    """The error on a Parquet file that is cut short or damaged."""
    return fault(f"{path.name} is a Parquet file that cannot be read: it is cut short or damaged. Copy it again.")


def _check_flat(path: Path, schema: Any) -> None:
    """Raise DatasetError for a table that contains images or nested values."""
    import pyarrow as pa

    if images := image_columns(schema):
        raise fault(
            f"{path.name} contains images in its column '{images[0]}'. Write them into files with "
            f"whalecam unpack {path.name} --out DIR, and open DIR/table.csv with the image folder DIR/images."
        )
    nested = [field.name for field in schema if pa.types.is_struct(field.type)]
    if nested:
        raise fault(
            f"{path.name} contains nested values in its column '{nested[0]}'. Write a table without this column."
        )


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False
