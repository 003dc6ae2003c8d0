"""The text of a CSV: read as records, each with the very text it came from; written so that no cell is a formula."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.errors import WhalecamError

DELIMITERS = ",;\t|"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
NEUTRALISED = tuple(f"'{start}" for start in FORMULA)
ENCODINGS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-8"))


@dataclass(frozen=True)
class CsvText:
    """A CSV as found: `mark + text.encode(encoding)` are its bytes. Methods raise `fault` with a message in words.

    Attributes:
        name: what messages call the file.
        fault: the class of error to raise.
        mark: the byte order mark, or b"".
    """

    name: str
    fault: type[WhalecamError]
    mark: bytes
    encoding: str
    text: str = field(repr=False)

    def records(
        self, delimiter: str, strict: bool = False, skip_spaces: bool = False
    ) -> Iterator[tuple[list[str], str]]:
        """Cells and raw text, line end included, of one record after the other; a quoted field may hold line ends.

        Raises `fault` for a field that is not closed, or, if `strict`, goes on after its closing quote.
        """
        taken: list[str] = []

        def lines() -> Iterator[str]:
            for line in io.StringIO(self.text, newline=""):
                taken.append(line)
                yield line

        reader = csv.reader(lines(), delimiter=delimiter, strict=strict, skipinitialspace=skip_spaces)
        raw = ""
        try:
            for cells in reader:
                raw = "".join(taken)
                yield cells, raw
                taken.clear()
            _check_closed(raw, delimiter, skip_spaces)
        except csv.Error as error:
            raise self.fault(
                f"{self.name} is no CSV that can be read: {error} (line {reader.line_num}). Each quote needs its twin."
            ) from error

    def delimiter(self, column: str) -> str:
        """The delimiter under which the file has a column of this name. Raises `fault` where there is none."""
        headers = {delimiter: self._header(delimiter) for delimiter in DELIMITERS}
        for delimiter, header in headers.items():
            if column in header:
                return delimiter
        has = ", ".join(name[:40] for name in max(headers.values(), key=len)[:12])
        raise self.fault(f"{self.name} has no column '{column}'. It has: {has}.")

    def _header(self, delimiter: str) -> list[str]:
        filled = (cells for cells, _ in self.records(delimiter, skip_spaces=True) if any(cells))
        return [cell.strip() for cell in next(filled, [])]


def read_text(source: bytes | Path, fault: type[WhalecamError]) -> CsvText:
    """UTF-8 with or without a byte order mark, or UTF-16 with one.

    Raises `fault` where the file is missing, unreadable, empty or of another encoding.
    """
    name = "The file" if isinstance(source, bytes) else source.name
    try:
        raw = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise fault(f"{source!s} cannot be read: {error.strerror}. Give the path of a CSV.") from error
    mark, encoding = next(pair for pair in ENCODINGS if raw.startswith(pair[0]))
    try:
        text = raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise fault(f"{name} is not {encoding[:6].upper()} text (byte {error.start}). Save it as CSV UTF-8.") from error
    if not text.strip():
        raise fault(f"{name} is empty. It needs a line of column names and one line per image.")
    return CsvText(name, fault, mark, encoding, text)


def _check_closed(raw: str, delimiter: str, skip_spaces: bool) -> None:
    """Refuse a last record that ends inside quotes: it would swallow all that follows the opening quote."""
    try:
        list(csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter, strict=True, skipinitialspace=skip_spaces))
    except csv.Error as error:
        if "end of data" in str(error):
            raise


def safe_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 as in RFC 4180. Texts that a spreadsheet would run as a formula get a `'` in front; numbers never do.

    Raises UnicodeEncodeError for text that UTF-8 cannot hold.
    """
    texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    safe = frame.assign(**{name: _neutral(frame[name].astype("str")) for name in texts})
    # Line ends are \r\n since the writer quotes a field for the characters of its line end: a lone \r needs it.
    return safe.to_csv(index=False, lineterminator="\r\n").encode()


def restored(cell: str) -> str:
    """A cell as it was before `safe_csv` put a `'` in front."""
    return cell[1:] if cell.startswith(NEUTRALISED) else cell


def _neutral(column: "pd.Series[Any]") -> "pd.Series[Any]":
    runs = column.str.startswith(FORMULA, na=False)
    return column.where(~runs, "'" + column) if runs.any() else column
