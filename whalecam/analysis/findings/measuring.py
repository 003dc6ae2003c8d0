"""Every image of a data set is read once, to its end, and measured; what was measured before is kept."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from whalecam.analysis.findings.properties import Properties, kept, typed, unread, with_faults
from whalecam.arrays import Progress, Report, silent
from whalecam.data import Dataset, read_sample
from whalecam.errors import DatasetError
from whalecam.explain.masks import MASK_METHODS, MaskSources
from whalecam.store.run import next_part

PART = 512
"""Images per stored part: what a crash costs."""
MANY = 400
"""From so many images on, starting helper processes pays."""
NOTHING = MaskSources()
STAGE = "measuring images"


def measured(
    data: Dataset, sources: MaskSources = NOTHING, keep: Path | None = None, report: Report = silent
) -> tuple[Dataset, pd.DataFrame | None]:
    """The data set with the reason of each image that cannot be read, and what `measure` gives.

    None in place of the second where the data set has no image folder.
    """
    if data.images is None:
        return data, None
    properties = measure(data, sources, keep, report)
    return with_faults(data, properties), properties


def measure(
    data: Dataset, sources: MaskSources = NOTHING, keep: Path | None = None, report: Report = silent
) -> pd.DataFrame:
    """One row per usable row of the data set that has a file, in its order: TEXTS (str) and NUMBERS (float) of
    `properties`.

    Args:
        sources: masks and body boxes that tell where the animal is.
        keep: a folder for what was measured, one Parquet part after the other; an image whose file and animal are
            still the same is not measured again.
    """
    good = data.good()
    good = good[good["path"] != ""]
    files = list(zip(good["image"].tolist(), good["path"].tolist(), strict=True))
    stamps = {image: _stamp(path, image, sources) for image, path in files}
    frames = [kept(keep)] if keep else []
    known = {(row.image, row.stamp) for frame in frames for row in frame.itertuples()}
    todo = [(image, path) for image, path in files if (image, stamps[image]) not in known]
    done = len(good) - len(todo)
    report(Progress(STAGE, done, len(good)))
    for part in _measured(todo, sources):
        frame = typed(row | {"stamp": stamps[row["image"]]} for row in part)
        frames.append(frame)
        if keep:
            _store(frame, keep)
        done += len(part)
        report(Progress(STAGE, done, len(good)))
    rows = pd.concat(frames, ignore_index=True) if frames else typed(())
    current = rows[rows["stamp"] == rows["image"].map(stamps)]
    return current.drop_duplicates("image", keep="last").set_index("image").reindex(good["image"]).reset_index()


def _measured(todo: list[tuple[str, str]], sources: MaskSources) -> Iterator[list[Properties]]:
    """The rows of one part after the other."""
    work: Callable[[str, str], Properties] = partial(_measure, sources)
    pool: Executor = ThreadPoolExecutor(os.cpu_count())
    if len(todo) >= MANY:
        # Processes, since measuring holds the interpreter; spawned, since a fork of a threaded server may lock up.
        pool = ProcessPoolExecutor(
            os.cpu_count(), mp_context=get_context("spawn"), initializer=_begin, initargs=(sources,)
        )
        work = _measure_here
    with pool:
        for start in range(0, len(todo), PART):
            jobs = todo[start : start + PART]
            yield list(pool.map(work, *zip(*jobs, strict=True), chunksize=16))


_own: dict[str, MaskSources] = {}
"""What a helper process was started with."""


def _begin(sources: MaskSources) -> None:
    import cv2

    cv2.setNumThreads(1)
    _own["sources"] = sources


def _measure_here(image: str, path: str) -> Properties:
    return _measure(_own["sources"], image, path)


def _measure(sources: MaskSources, image: str, path: str) -> Properties:
    from whalecam.analysis.findings.traits import traits

    try:
        sample = read_sample(Path(path), image)
    except DatasetError as error:
        return unread(image, str(error))
    masks = (MASK_METHODS[name](sources)(sample) for name in ("given", "boxes"))
    mask = next((mask for mask in masks if mask is not None), None)
    return traits(Path(path), sample, mask.values if mask else None)


def _stamp(path: str, image: str, sources: MaskSources) -> str:
    """What changes when the file, its boxes or its mask do."""
    try:
        file = Path(path).stat()
    except OSError:
        return ""
    boxes = ";".join(
        f"{row['kind']} {row['x1']} {row['y1']} {row['x2']} {row['y2']} {hash(row.get('outline'))}"
        for row in sources.rows_of(image)
    )
    mask = sources.given.get(image)
    masks = [mask.stat().st_mtime_ns, sources.rule] if mask is not None else []
    return f"{file.st_size} {file.st_mtime_ns} {boxes} {masks}"


def _store(frame: pd.DataFrame, folder: Path) -> None:
    """The part appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    target = next_part(folder)
    aside = target.with_suffix(".writing")
    frame.to_parquet(aside, index=False)
    aside.replace(target)
