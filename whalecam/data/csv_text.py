"""The text of a CSV: read as records, each with the very text it came from; written so that no cell is a formula."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.errors import WhalecamError

DELIMITERS = ",;\t|"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
NEUTRALISED = tuple(f"'{start}" for start in FORMULA)
COMMENT = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n)|#(?![,;\t|])[^\r\n]*(?:\r\n|\r|\n|$))*")
SEPARATOR_LINE = re.compile(r"\"?sep=(.)\"?[ \t,;]*(?:\r\n|\r|\n)", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f]")
GZIP = b"\x1f\x8b"
MAX_BYTES = 2**31
"""Of a compressed table when unpacked."""
SINGLE_BYTE = ("cp1252", "mac_roman")
OTHER_ENCODINGS = ("cp1251", "cp1250", "cp1253", "cp932", "gb18030", "big5", "cp949", "cp1254", "cp1255", "cp1256")
NO_MAC = re.compile(r"(?<=[a-zA-Z])[‡†…‰‹›“”„•—˜™ˆƒ¤¥§¨©«¬®¯°±¶¸»](?=[a-z])|(?<=[a-z])[ŽŠŒŸ](?=[a-z])")
"""Signs inside a word, which Western European text on Windows hardly has and text of old Macs has for its accents."""
ENCODINGS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-8"))


@dataclass(frozen=True)
class CsvText:
    """A CSV as it is: `mark + (preamble + text).encode(encoding)` are its bytes, unpacked where they are compressed.

    Methods raise `fault` with a message in words.

    Attributes:
        name: what messages call the file.
        fault: the class of error to raise.
        mark: the byte order mark, or b"".
        preamble: what precedes the line of column names: comments, and a line such as `sep=;`.
        separator: the delimiter that such a line states; empty without.
        notes: what was guessed or skipped; a sentence each.
    """

    name: str
    fault: type[WhalecamError]
    mark: bytes
    encoding: str
    text: str = field(repr=False)
    preamble: str = ""
    separator: str = ""
    notes: tuple[str, ...] = ()

    def records(
        self, delimiter: str, strict: bool = False, skip_spaces: bool = False
    ) -> Iterator[tuple[list[str], str]]:
        """Cells and raw text, line end included, of one record after the other; a quoted field may hold line ends.

        Raises `fault` for a field that is not closed, or, if `strict`, goes on after its closing quote.
        """
        lines_read: list[str] = []

        def lines() -> Iterator[str]:
            for line in io.StringIO(self.text, newline=""):
                lines_read.append(line)
                yield line

        reader = csv.reader(lines(), delimiter=delimiter, strict=strict, skipinitialspace=skip_spaces)
        raw = ""
        try:
            for cells in reader:
                raw = "".join(lines_read)
                yield cells, raw
                lines_read.clear()
            _check_closed(raw, delimiter, skip_spaces)
        except csv.Error as error:
            raise self.fault(
                f"{self.name} cannot be read as CSV: {error} (line {reader.line_num}). Close each quote that is opened."
            ) from error

    def delimiter(self, column: str) -> str:
        """The delimiter under which the file has a column of this name. Raises `fault` where there is none."""
        delimiters = self.separator or DELIMITERS
        headers = {delimiter: self._header(delimiter) for delimiter in delimiters}
        for delimiter, header in headers.items():
            if column in header:
                return delimiter
        has = ", ".join(name[:40] for name in max(headers.values(), key=len)[:12])
        raise self.fault(f"{self.name} has no column '{column}'. It has: {has}.")

    def _header(self, delimiter: str) -> list[str]:
        filled = (cells for cells, _ in self.records(delimiter, skip_spaces=True) if any(cells))
        return [cell.strip() for cell in next(filled, [])]


def read_text(source: bytes | Path, fault: type[WhalecamError], *, guess: bool = False) -> CsvText:
    """UTF-8 with or without a byte order mark, or UTF-16 with one; packed by gzip or not.

    Args:
        guess: read other encodings too, by the letters that they give, and note which.

    Raises `fault` where the file is missing, unreadable, empty or of another encoding.
    """
    name = "The file" if isinstance(source, bytes) else source.name
    try:
        raw = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise fault(f"{source!s} cannot be read: {error.strerror}. Give the path of a CSV.") from error
    raw = _unpacked(raw, name, fault) if raw.startswith(GZIP) else raw
    mark, encoding = next(pair for pair in ENCODINGS if raw.startswith(pair[0]))
    notes: list[str] = []
    try:
        text = raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        guessed = _guessed(raw) if guess and not mark else None
        if guessed is None:
            raise fault(
                f"{name} is not {encoding[:6].upper()} text (byte {error.start}). Save it as CSV UTF-8."
            ) from error
        encoding, text = guessed
        notes.append(_encoding_note(name, encoding, text))
    if not text.strip():
        raise fault(f"{name} is empty. It needs a line of column names and one line per image.")
    preamble, separator = _preamble(text)
    notes += [f"{name}: skipped the lines before the column names: {' '.join(preamble.split())[:60]}."] * bool(preamble)
    return CsvText(name, fault, mark, encoding, text[len(preamble) :], preamble, separator, tuple(notes))


def _unpacked(raw: bytes, name: str, fault: type[WhalecamError]) -> bytes:
    try:
        with gzip.open(io.BytesIO(raw)) as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise fault(f"{name} is packed by gzip, but damaged or cut short. Copy it again.") from error
    if len(content) > MAX_BYTES:
        raise fault(f"{name} is larger than {MAX_BYTES >> 30} GiB when unpacked.")
    return content


def _guessed(raw: bytes) -> tuple[str, str] | None:
    """Encoding and text of bytes that are no UTF-8; None where they are no text."""
    from charset_normalizer import from_bytes

    for encodings in (SINGLE_BYTE, OTHER_ENCODINGS):
        best = from_bytes(raw, cp_isolation=list(encodings)).best()
        if best is not None and not CONTROL.search(text := raw.decode(best.encoding, errors="replace")):
            if best.encoding == "cp1252" and NO_MAC.search(text):
                return "mac_roman", raw.decode("mac_roman")
            return best.encoding, raw.decode(best.encoding)
    return None


def _encoding_note(name: str, encoding: str, text: str) -> str:
    word = next((word for word in re.split(r"[\s,;|]+", text) if not word.isascii()), "")
    return f"{name} is not UTF-8; it was read as {encoding}, which gives words such as '{word[:40]}'."


def _preamble(text: str) -> tuple[str, str]:
    """Comments and a line such as `sep=;` before the column names, and the delimiter that it states."""
    start = COMMENT.match(text)
    end = start.end() if start and "#" in start.group() else 0
    line = SEPARATOR_LINE.match(text, end)
    return (text[: line.end()], line.group(1)) if line else (text[:end], "")


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
