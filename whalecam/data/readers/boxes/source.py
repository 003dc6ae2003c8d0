"""A file or folder that may have boxes, parsed once for all readers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import pandas as pd

from whalecam.data.csv_text import read_text
from whalecam.data.faults import fault
from whalecam.data.table import read_frame
from whalecam.errors import DatasetError

HEAD = 64
NAMED = 10


@dataclass(frozen=True)
class Source:
    """A file or folder. Every property parses once; what cannot be parsed raises DatasetError in one line."""

    path: Path

    @cached_property
    def is_folder(self) -> bool:
        try:
            return self.path.is_dir()
        except (OSError, ValueError):
            return False

    @cached_property
    def kind(self) -> str:
        """`folder`, `json`, `xml` or `table`, by the first characters, whatever the file is called."""
        if self.is_folder:
            return "folder"
        start = self._head().lstrip()
        if start.startswith(("{", "[")):
            return "json"
        return "xml" if start.startswith("<") else "table"

    @cached_property
    def json(self) -> Any:
        """The value of a JSON file; None for any other source."""
        if self.kind != "json":
            return None
        try:
            return json.loads(self._text())
        except (ValueError, RecursionError) as error:
            raise fault(f"{self.path.name} cannot be read as JSON: {' '.join(str(error).split())}.") from error

    @cached_property
    def xml(self) -> Element | None:
        """The root of an XML file; None for any other source."""
        return parsed_xml(self.path) if self.kind == "xml" else None

    @cached_property
    def frame(self) -> pd.DataFrame | None:
        """A table as texts; None for any other source."""
        return read_frame(self.path) if self.kind == "table" else None

    @cached_property
    def lines(self) -> list[str]:
        """The lines of a text file."""
        return self._text().splitlines()

    @property
    def seen(self) -> str:
        """A sentence on what is there instead."""
        if self.kind == "folder":
            names = sorted(path.name for path in self.path.iterdir())[:NAMED]
            return f"The folder has: {', '.join(names)}." if names else "The folder is empty."
        if self.frame is not None:
            return f"It has: {', '.join(map(str, self.frame.columns[:NAMED]))}."
        if self.xml is not None:
            return f"Its root is <{self.xml.tag}>."
        if isinstance(self.json, dict):
            return f"It has: {', '.join(map(str, list(self.json)[:NAMED]))}."
        return "It has a list."

    def inside(self, pattern: str) -> Iterator[Path]:
        """Files of the folder and below, hidden ones apart, whose name matches, in order; none for a file.

        A link that leads out of the folder is left out.
        """
        home = self.path.resolve()
        for path in sorted(self.path.rglob(pattern)) if self.is_folder else ():
            hidden = any(part.startswith(".") for part in path.relative_to(self.path).parts)
            if not hidden and path.is_file() and path.resolve().is_relative_to(home):
                yield path

    def _head(self) -> str:
        try:
            with self.path.open("rb") as file:
                return file.read(HEAD).replace(b"\0", b"").decode("utf-8", "ignore").lstrip("\ufeff")
        except (OSError, ValueError):
            return ""

    def _text(self) -> str:
        try:
            return read_text(self.path, DatasetError).text
        except DatasetError as error:
            raise fault(str(error)) from error


def parsed_xml(path: Path) -> Element:
    """The root of an XML file. Raises DatasetError for what is no XML, and for one with a document type.

    No box format has a document type; its entities could grow without bounds or read other files.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return Element("none") if (root := fromstring(path.read_bytes(), forbid_dtd=True)) is None else root
    except DefusedXmlException as error:
        raise fault(f"{path.name} has a document type (DTD), which box files do not need. Remove it.") from error
    except (ParseError, OSError, ValueError, LookupError) as error:
        raise fault(f"{path.name} cannot be read as XML: {error}.") from error
