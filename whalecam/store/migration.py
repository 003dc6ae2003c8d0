"""Run manifests of earlier versions under the present names; a run folder is rewritten only when it changes anyway."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whalecam.config import EARLIER_RECIPES
from whalecam.errors import RunError
from whalecam.store.schema import SCHEMA_VERSION
from whalecam.words import MARINE

EXACTNESS_WORDS = {"exact here": "exact_here"}
AUDIT_OPTIONS = {"needs": "background_test"}


def present_manifest(content: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` of schema version 4 holds, as the present version names it; any other content as it is.

    A manifest without words gets those of the demo, which every page had before.
    """
    content = {"words": asdict(MARINE), **content}  # which is what pages called everything before words were noted
    if content.get("schema_version") != SCHEMA_VERSION - 1:
        return content
    manifest = {("exactness" if name == "licence" else name): value for name, value in content.items()}
    word = str(manifest.get("exactness", ""))
    manifest["exactness"] = "none" if word.startswith("refused") else EXACTNESS_WORDS.get(word, word)
    train = dict(manifest.get("train") or {})
    if train.get("recipe") in EARLIER_RECIPES:
        train["recipe"] = EARLIER_RECIPES[train["recipe"]]
    audit = {AUDIT_OPTIONS.get(name, name): value for name, value in dict(manifest.get("audit") or {}).items()}
    return {**manifest, "train": train, "audit": audit, "schema_version": SCHEMA_VERSION}


def check_version(version: object, manifest: Path) -> None:
    """Raise RunError for a manifest whose schema version, after `present_manifest`, is not the present one."""
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunError(
            f"{manifest} was written by a newer WhaleCAM (schema version {version}; this one reads {SCHEMA_VERSION}). "
            "Update WhaleCAM to open it; nothing was changed."
        )
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{manifest} has schema version {version}; this WhaleCAM reads {SCHEMA_VERSION}. "
            "Train and audit into a new folder; export the old verdicts with the WhaleCAM that made them."
        )
