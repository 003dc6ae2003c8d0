"""Verdicts, assessments, boxes and masks in the formats of other tools, and verdicts back from them.

A format is a module with `write` and `read`, and a line in `registry.FORMATS`.
"""

from whalecam.output.interchange.archive import zipped
from whalecam.output.interchange.outgoing import Item, Outgoing, outgoing
from whalecam.output.interchange.registry import (
    ENTRY_POINTS,
    FORMATS,
    Format,
    formats,
    read_verdicts,
    write_files,
)
from whalecam.output.interchange.returned import Contents, Given, Returned, verdict_frame
from whalecam.output.interchange.transfer import Exported, export_run, import_file

__all__ = [
    "ENTRY_POINTS",
    "FORMATS",
    "Contents",
    "Exported",
    "Format",
    "Given",
    "Item",
    "Outgoing",
    "Returned",
    "export_run",
    "formats",
    "import_file",
    "outgoing",
    "read_verdicts",
    "verdict_frame",
    "write_files",
    "zipped",
]
