"""Parquet files."""

from pathlib import Path

from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import TableContents, as_texts

MARK = b"PAR1"


def read_parquet(path: Path) -> TableContents | None:
    """All columns as texts. Raises DatasetError for a broken file, and for images stored in the table itself."""
    if not path.is_file() or not _is_parquet(path):
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise fault(f"{path.name} is a Parquet file that cannot be read: it is cut short or damaged.") from error
    nested = [field.name for field in table.schema if pa.types.is_struct(field.type) or pa.types.is_binary(field.type)]
    if nested:
        raise fault(
            f"{path.name} contains images or nested values in its column '{nested[0]}'. "
            "Write the images into files, and a column with their names."
        )
    return TableContents(frame=as_texts(table.to_pandas()))


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False
