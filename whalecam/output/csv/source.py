"""The source CSV without what was flagged."""

from collections.abc import Collection
from pathlib import Path

from whalecam.data.csv_text import read_text, safe_csv
from whalecam.data.readers.tables import read_recognized
from whalecam.errors import DatasetError


def cleaned_source(csv: Path, image: str, flagged: Collection[str]) -> bytes:
    """The source CSV without the rows of flagged images; every other byte stays as it is.

    A source of another format, such as a folder of class folders, becomes a CSV of its remaining rows.

    Args:
        image: the column of image names.

    Raises DatasetError where the file cannot be read or lacks that column.
    """
    contents = read_recognized(Path(csv))
    if contents is not None and not contents.is_csv:
        return safe_csv(contents.frame[~contents.frame[image].str.strip().isin(set(flagged))])
    source, gone = read_text(Path(csv), DatasetError, guess=True), set(flagged)
    place, kept = None, []
    for cells, raw in source.records(source.delimiter(image), skip_spaces=True):
        if place is None and any(cells):
            place = [cell.strip() for cell in cells].index(image)
        elif place is not None and len(cells) > place and cells[place].strip() in gone:
            continue
        kept.append(raw)
    return source.mark + f"{source.preamble}{''.join(kept)}".encode(source.encoding)
