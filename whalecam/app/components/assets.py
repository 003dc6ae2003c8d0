"""The JavaScript and CSS of the components, as files beside them."""

from pathlib import Path

_HERE = Path(__file__).parent


def source(*names: str) -> str:
    """The texts of files of this package, one after the other; `names` are paths relative to it."""
    return "".join((_HERE / name).read_text(encoding="utf-8") for name in names)
