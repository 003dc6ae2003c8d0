"""What a Parquet file of Hugging Face's `datasets` states about its columns: images inside it, and names of labels."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

KEY = b"huggingface"


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """The names of the classes of each column of ids (`ClassLabel`), in the order of the ids; empty without any.

    Args:
        metadata: of the schema of a Parquet file.
    """
    try:
        features = json.loads((metadata or {}).get(KEY, b"{}"))["info"]["features"]
        stated = {str(name): feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    names = {name: feature.get("names") for name, feature in stated.items() if feature.get("_type") == "ClassLabel"}
    return {name: tuple(map(str, own)) for name, own in names.items() if isinstance(own, list)}


def named(ids: Sequence[Any], names: Sequence[str]) -> tuple[list[str], int]:
    """The name of each id, empty for None and −1, which mean no label; and how many ids have no name.

    An id without a name gives an empty text too.
    """
    known = {str(at): name for at, name in enumerate(names)}
    empty = {"None", "-1"}
    return [known.get(str(value), "") for value in ids], sum(str(v) not in known.keys() | empty for v in ids)


def names_note(column: str, names: Sequence[str], nameless: int) -> str:
    """What was made of the ids of a column, in a sentence."""
    note = f"The ids of the column '{column}' became the names of {len(names):,} classes that the file states."
    return f"{note} {nameless:,} ids have no name there; these rows have no label." if nameless else note


def image_columns(schema: Any) -> list[str]:
    """Names of the columns that contain the bytes of files: `{bytes, path}`, or bytes alone."""
    import pyarrow as pa

    def is_bytes(kind: Any) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))

    def is_file(kind: Any) -> bool:
        return pa.types.is_struct(kind) and any(part.name == "bytes" and is_bytes(part.type) for part in kind)

    return [field.name for field in schema if is_bytes(field.type) or is_file(field.type)]
