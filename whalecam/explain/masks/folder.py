"""A folder of masks against the images of a data set, before any work is spent."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from whalecam.arrays import Progress, Report, silent
from whalecam.data import read_shape
from whalecam.errors import DatasetError
from whalecam.explain.masks.given import Look, look, path_of
from whalecam.explain.masks.join import Join, first
from whalecam.explain.masks.sources import MaskSources
from whalecam.explain.masks.values import HIGH, LOW, WANTED

LOOKED_AT = 1000
"""Masks of a folder that are read before an audit, drawn at random; each is checked again when it is used."""
Pair = tuple[str, Path]
"""The file of an image, empty where there is none, and its mask."""


def join_masks(images: Mapping[str, str], sources: MaskSources, report: Report = silent) -> tuple[Join, frozenset[str]]:
    """What the folder has for the images, and the images that must do without because others claim the same file.

    Args:
        images: the file of each usable image, by name; empty where unknown.

    Raises DatasetError where no image has a mask, where files are no masks by grey value, and where none can be used.
    """
    paths = {image: path for image in images if (path := path_of(sources, image)) is not None}
    shared = _shared(images, paths)
    pairs = {image: (images[image], path) for image, path in paths.items() if image not in shared}
    files = _files(sources)
    if images and not pairs:
        raise DatasetError(_nothing(files, list(images), bool(shared), sources))
    looks = _looks(list(pairs.values()), report)
    _check_values(sources, looks)
    bad = [(path, seen.reason) for path, seen in looks if seen.reason]
    if bad and len(bad) == len(looks):
        raise DatasetError(
            f"None of the {len(bad):,} masks looked at in {sources.folder} can be used; {bad[0][0].name}: {bad[0][1]}."
        )
    used = {str(path) for _, path in pairs.values()} - {str(path) for path, _ in bad}
    unused = [name for name, path in files.items() if path not in used]
    matched = sum(str(path) in used for _, path in pairs.values())
    notes = _notes(bad, len(looks), len(pairs), shared)
    return Join("masks", len(images), matched, len(files), len(unused), first(unused), notes), shared


def _shared(images: Mapping[str, str], paths: Mapping[str, Path]) -> frozenset[str]:
    """Images whose mask file is that of another image too: whose it is cannot be known."""
    claims: dict[Path, set[str]] = {}
    for image, path in paths.items():
        claims.setdefault(path, set()).add(images[image] or image)
    many = {path for path, owners in claims.items() if len(owners) > 1}
    return frozenset(image for image, path in paths.items() if path in many) if many else frozenset()


def _files(sources: MaskSources) -> dict[str, str]:
    """The path of every file in the folder and below, hidden ones apart, by its path from the folder."""
    home = sources.home
    found: dict[str, str] = {}
    for root, folders, names in os.walk(home) if home is not None else ():
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(root).relative_to(home or root).as_posix()
        start = "" if below == "." else f"{below}/"
        for name in sorted(names):
            if not name.startswith("."):
                found[f"{start}{name}"] = os.path.join(root, name)  # noqa: PTH118  for each of a million files
    return found


def _nothing(files: Mapping[str, str], images: Sequence[str], shared: bool, sources: MaskSources) -> str:
    """Why no image has a mask."""
    if not files:
        return f"The mask folder {sources.folder} has no files. Give a folder of PNG masks named like the images."
    names, count = ", ".join(first(list(files))), len(files)
    if shared:
        why = "each file has the name of several images; put the masks into folders like those of the images"
    else:
        why = f"a mask is a PNG with the name of its image, such as {Path(images[0]).stem}.png for {images[0]}"
    return (
        f"Masks: matched 0 of {len(images):,} images, {count:,} of {count:,} files in {sources.folder} were not used: "
        f"{names}; {why}."
    )


def _looks(pairs: Sequence[Pair], report: Report) -> list[tuple[Path, Look]]:
    """What some of the masks are; all of them where there are few."""
    chosen = list(pairs)
    if len(chosen) > LOOKED_AT:
        places = np.random.default_rng(0).choice(len(chosen), LOOKED_AT, replace=False)
        chosen = [chosen[at] for at in sorted(places.tolist())]
    found: list[tuple[Path, Look]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (_, path), seen in zip(chosen, pool.map(_look, chosen), strict=True):
            if len(found) % 100 == 0:
                report(Progress("looking at masks", len(found), len(chosen)))
            found.append((path, seen))
    return found


def _look(pair: Pair) -> Look:
    image, path = pair
    try:
        shape = read_shape(Path(image)) if image else None
    except DatasetError:
        shape = None  # an image that cannot be read is not audited, whatever its mask is
    return look(path, (shape.height, shape.width) if shape else None).without_values()


def _check_values(sources: MaskSources, looks: Sequence[tuple[Path, Look]]) -> None:
    """Raises DatasetError for values that are no greys, and where no mask has an animal, or none a background."""
    codes = [(path, seen.code) for path, seen in looks if seen.code]
    if codes:
        path, code = codes[0]
        raise DatasetError(
            f"The masks in {sources.folder} cannot be used: {len(codes):,} of {len(looks):,} looked at are no masks "
            f"by grey value. {path.name} {code}; {WANTED}."
        )
    usable = [seen for _, seen in looks if not seen.reason]
    low, high = min((seen.low for seen in usable), default=0), max((seen.high for seen in usable), default=255)
    if low > LOW or high < HIGH:
        raise DatasetError(
            f"The masks in {sources.folder} cannot be used: the values of the {len(usable):,} looked at lie between "
            f"{low} and {high}; {WANTED}."
        )


def _notes(bad: Sequence[tuple[Path, str]], looked: int, pairs: int, shared: frozenset[str]) -> tuple[str, ...]:
    notes = []
    if bad:
        whole = f"{looked:,} looked at" if looked < pairs else f"{pairs:,} with the name of an image"
        notes.append(f"{len(bad):,} of the {whole} cannot be used, as {bad[0][0].name}: {bad[0][1]}.")
    if looked < pairs:
        notes.append(f"{looked:,} masks were looked at before the audit; the others when they are used.")
    if shared:
        names = ", ".join(first(sorted(shared)))
        notes.append(f"{len(shared):,} images do without a mask, since one file has the name of several: {names}.")
    return tuple(notes)
