"""Errors on data sets, as a line of text has room for them."""

from whalecam.errors import DatasetError

LONGEST = 500


def fault(text: str) -> DatasetError:
    """An error in one printable line: names of files and columns may hold line ends or fill pages."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return DatasetError(line if len(line) <= LONGEST else f"{line[: LONGEST - 200]} … {line[-190:]}")
