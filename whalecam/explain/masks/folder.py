"""A folder of masks against the images of a data set, before any work is spent."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from whalecam.arrays import Progress, Report, silent
from whalecam.config import IMAGE_SUFFIXES
from whalecam.data import read_shape
from whalecam.data.matching import Match, match
from whalecam.errors import DatasetError
from whalecam.explain.masks.given import Look, look
from whalecam.explain.masks.join import Join, first
from whalecam.explain.masks.sources import MaskSources
from whalecam.explain.masks.values import MaskRule, rule_of

LOOKED_AT = 1000
"""Masks of a folder that are read before an audit, drawn at random; each is checked again when it is used."""
WORDS = ("mask", "masks", "seg", "segmentation", "label", "labels", "gt", "matte")
ENDINGS = tuple(f"{sign}{word}" for word in WORDS for sign in "_-.")
"""What people and their tools put after the name of an image to name its mask."""


class Seen(NamedTuple):
    """A mask that was looked at."""

    image: str
    path: Path
    look: Look


def join_masks(
    images: Mapping[str, str], sources: MaskSources, report: Report = silent, *, looked_at: int | None = None
) -> tuple[Join, dict[str, Path], MaskRule]:
    """What the folder has for the images, the mask of each image, and how those masks are read.

    Args:
        images: the file of each usable image, by name; empty where unknown.
        looked_at: how many masks are read at most, drawn at random; None: LOOKED_AT.

    Raises DatasetError where no image has a mask, where nothing shows what the subject is or how the masks lie in
    turned images, and where none can be used.
    """
    files = _files(sources)
    named = [name for name in files if name.lower().endswith(IMAGE_SUFFIXES)]
    # Rows of one file share its mask, so a file is matched once, by the first of its names.
    owners = {path or image: image for image, path in reversed(list(images.items()))}
    matches, matched = match(owners.values(), named, by_stem=True, endings=ENDINGS)
    by_owner = dict(zip(owners, matches, strict=True))
    given = {image: Path(files[file]) for image, path in images.items() if (file := by_owner[path or image].file)}
    if images and not given:
        raise DatasetError(_nothing(files, list(images), matched.reason, sources))
    seen = _looks(images, given, sources, report, looked_at or LOOKED_AT)
    try:
        rule = _rule(seen, len(given), sources)
    except DatasetError as error:
        raise DatasetError(f"The masks in {sources.folder} cannot be used: {error}") from error
    bad = [item for item in seen if item.look.reason]
    used = {path for image, path in given.items()} - {item.path for item in bad}
    unused = [name for name, path in files.items() if Path(path) not in used]
    notes = (*_bad_notes(bad, len(seen), len(given)), *matched.spelled, *_shared(list(owners.values()), matches))
    count = sum(path in used for path in given.values())
    return (
        Join("masks", len(images), count, len(files), len(unused), first(unused), notes, _read_as(rule, seen)),
        given,
        rule,
    )


def _files(sources: MaskSources) -> dict[str, str]:
    """The path of every file in the folder and below, hidden ones and links out of it apart, by its path from there."""
    home = sources.folder.resolve() if sources.folder else None
    files: dict[str, str] = {}
    for root, folders, names in os.walk(home) if home is not None else ():
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(root).relative_to(home or root).as_posix()
        start = "" if below == "." else f"{below}/"
        for name in sorted(names):
            path = os.path.join(root, name)  # noqa: PTH118  for each of a million files
            if not name.startswith(".") and not _leads_out(path, home):
                files[f"{start}{name}"] = path
    return files


def _leads_out(path: str, home: Path | None) -> bool:
    if home is None or not os.path.islink(path):  # noqa: PTH114  for each of a million files
        return False
    try:
        return not Path(path).resolve().is_relative_to(home)
    except (OSError, RuntimeError):
        return True


def _nothing(files: Mapping[str, str], images: Sequence[str], why: str, sources: MaskSources) -> str:
    """Why no image has a mask."""
    if not files:
        return f"The mask folder {sources.folder} has no files. Give a folder of PNG masks named like the images."
    names, count = ", ".join(first(list(files))), len(files)
    return (
        f"Masks: matched 0 of {len(images):,} images, {count:,} of {count:,} files in {sources.folder} were not used: "
        f"{names}; a mask has the name of its image, such as {Path(images[0]).stem}.png for {images[0]}. {why}"
    ).strip()


def _shared(names: Sequence[str], matches: Sequence[Match]) -> tuple[str, ...]:
    """Images without a mask because its file may be that of others, or because several files may be theirs."""
    claimed = [name for name, result in zip(names, matches, strict=True) if result.candidates]
    if not claimed:
        return ()
    return (
        f"{len(claimed):,} images do without a mask, since one file has the name of several, or several files have "
        f"theirs: {', '.join(first(sorted(claimed)))}.",
    )


def _looks(
    images: Mapping[str, str], given: Mapping[str, Path], sources: MaskSources, report: Report, looked_at: int
) -> list[Seen]:
    """What some of the masks are; all of them where there are few."""
    chosen = list({path: image for image, path in reversed(list(given.items()))}.items())[::-1]
    if len(chosen) > looked_at:
        places = np.random.default_rng(0).choice(len(chosen), looked_at, replace=False)
        chosen = [chosen[at] for at in sorted(places.tolist())]

    def see(pair: tuple[Path, str]) -> Seen:
        path, image = pair
        try:
            shape = read_shape(Path(images[image])) if images[image] else None
        except DatasetError:
            shape = None  # an image that cannot be read is not audited, whatever its mask is
        return Seen(image, path, look(path, shape, sources.options.mask_orientation))

    looks: list[Seen] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for item in pool.map(see, chosen):
            if len(looks) % 100 == 0:
                report(Progress("looking at masks", len(looks), len(chosen)))
            looks.append(item)
    return looks


def _rule(seen: Sequence[Seen], given: int, sources: MaskSources) -> MaskRule:
    undecided = [item for item in seen if item.look.is_undecided]
    if undecided:
        raise DatasetError(
            f"{len(undecided):,} of the {len(seen):,} looked at belong to images that are turned by their EXIF "
            f"orientation, and their size does not show whether they lie in the pixels as stored in the file, or "
            f"upright as displayed: {', '.join(first([item.path.name for item in undecided]))}. State which: "
            "--mask-orientation stored or --mask-orientation upright."
        )
    readable = [item for item in seen if item.look.values is not None and not item.look.reason]
    if seen and not readable:
        item = seen[0]
        raise DatasetError(
            f"None of the {len(seen):,} masks looked at can be used; {item.path.name}: {item.look.reason}."
        )
    return rule_of(
        [(item.path.name, item.look.values) for item in readable if item.look.values], sources.options.mask_class
    )


def _bad_notes(bad: Sequence[Seen], looked: int, given: int) -> tuple[str, ...]:
    notes = []
    if bad:
        whole = f"{looked:,} looked at" if looked < given else f"{given:,} with the name of an image"
        item = bad[0]
        notes.append(f"{len(bad):,} of the {whole} cannot be used, as {item.path.name}: {item.look.reason}.")
    if looked < given:
        notes.append(f"{looked:,} masks were looked at before the audit; the others when they are used.")
    return tuple(notes)


def _read_as(rule: MaskRule, seen: Sequence[Seen]) -> tuple[str, ...]:
    """The rule, how masks of turned images lie, and how many are smaller than their images."""
    lines = [f"Read as {rule.sentence}."]
    counts = Counter(item.look.orientation for item in seen if item.look.orientation)
    lines += [f"{count:,} masks of turned images are {name}." for name, count in sorted(counts.items())]
    smaller = [item for item in seen if item.look.smaller and not item.look.reason]
    if smaller:
        lines.append(
            f"{len(smaller):,} of the {len(seen):,} masks looked at are smaller than their images, as "
            f"{first([smaller[0].path.name])[0]}: {smaller[0].look.smaller}. An outline is as fine as its mask."
        )
    return tuple(lines)
