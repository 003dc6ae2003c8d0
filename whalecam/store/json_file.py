"""A JSON object in a file of its own: written whole or not at all."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whalecam.errors import RunError


def write_json(target: Path, content: Mapping[str, object]) -> None:
    """Write JSON aside and rename it, so that a reader never sees half of it."""
    aside = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.writing")
    aside.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
    aside.replace(target)


def read_json(source: Path) -> dict[str, Any]:
    """Read a JSON object. Raises RunError with the place where it breaks off."""
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise RunError(f"{source} cannot be read: {error}. Restore it from a copy, or train again.") from error
    if not isinstance(content, dict):
        raise RunError(f"{source} does not contain a JSON object. Restore it from a copy, or train again.")
    return content
