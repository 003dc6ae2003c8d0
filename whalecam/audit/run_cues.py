"""The cue test of a run: some images of each predicted class, class by class; an interrupted one goes on."""

import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from PIL import Image

from whalecam.arrays import Progress, Report, silent, typed_records
from whalecam.audit import fold_job, run_audit
from whalecam.audit.refusal import as_audited
from whalecam.config import CUES_PER_CLASS, AuditOptions
from whalecam.data import Dataset, read_sample
from whalecam.data.images import read_quantization
from whalecam.errors import DatasetError
from whalecam.explain.cues import Seen, image_properties
from whalecam.explain.cues.cue_test import HOSTS, CueAnswers, CueQuestion, CueTest, ValueDonor
from whalecam.explain.cues.jpeg import LOSSLESS, quality_of
from whalecam.explain.masks import MaskMethod, find_mask
from whalecam.store.cue_rows import CueRow, classes_in, clear_cue_rows, cue_rows, write_cue_rows
from whalecam.store.open_table import open_table
from whalecam.store.run import Run

LEAST_PER_LABEL, LEAST_DONORS = 16, 96
"""Donors of each label, and of all together; with few labels more of each, or chance could not be told from a cue."""
BATCH = 8
FINER = 3
"""Pixels of the longer side, for each of the network's, at which an image is edited; of a smaller image all."""


class ChosenRow(TypedDict):
    """One image of a run's table; `group` is empty for none."""

    image: str
    label: str
    predicted: str
    group: str
    fold: int


@dataclass(frozen=True)
class CueCount:
    """How much was tested: images and classes in all, images in this call, and forward passes for these."""

    images: int
    classes: int
    new: int
    passes: int


def run_cues(run: Run, per_class: int = CUES_PER_CLASS, report: Report = silent, *, restart: bool = False) -> CueCount:
    """Test up to `per_class` images of each predicted class for cues beyond the background's looks.

    Images that their network was not trained on come first. Classes that were tested before, by the same network and
    this edition of the test, stay as they are. Raises RunError where nothing is audited, or where the run's network is
    only in memory; DatasetError as `run_audit.joined_sources`.

    Args:
        restart: whether to test all classes anew.
    """
    table = open_table(run).all_rows()
    clear_cue_rows(run, of_others=not restart)
    before = cue_rows(run)
    chosen = _chosen(table, run.manifest.classes, per_class)
    todo = chosen[~chosen["predicted"].isin(classes_in(before))]
    images, passes = _Images(run, report), 0
    donors = _donors(images, table, run.manifest.classes, report) if len(todo) else []
    test_of = functools.cache(functools.partial(_test, run, images, donors))
    done = 0
    for _, part in todo.groupby("predicted", sort=True):
        rows: list[CueRow] = []
        for batch in _batches(part):
            rows += images.answered(batch, test_of(int(batch["fold"].iloc[0])))
            done += len(batch)
            report(Progress("cues", done, len(todo)))
        write_cue_rows(run, rows)
    if len(todo):
        passes = sum(test_of(int(fold)).passes for fold in todo["fold"].unique())
    after = cue_rows(run)
    return CueCount(len(after), len(classes_in(after)), len(after) - len(before), passes)


def _chosen(table: pd.DataFrame, classes: Sequence[str], per_class: int) -> pd.DataFrame:
    """The images to test: of each predicted class unseen ones first, by chance that hangs on their names."""
    known = table[table["predicted"].isin(classes)]
    lots = pd.util.hash_array(known["image"].to_numpy(object))
    ordered = known.assign(_lot=lots).sort_values(["in_training", "_lot"], kind="stable")
    return ordered.groupby("predicted").head(per_class)


def _batches(part: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A few rows at a time, each of one network."""
    for _, rows in part.groupby("fold"):
        for start in range(0, len(rows), BATCH):
            yield rows.iloc[start : start + BATCH]


def _test(run: Run, images: "_Images", donors: Sequence[ValueDonor], fold: int) -> CueTest:
    networks = as_audited(run, fold_job.prepared(run, fold, images.data, images.options))
    maps = networks.maps
    if maps == "auto" and not networks.predictor.has_positions:
        maps = "none"
    return CueTest(networks.predictor, image_properties(), donors, maps, networks.mapper)


class _Images:
    """The images of a run, as the cue test takes them."""

    def __init__(self, run: Run, report: Report) -> None:
        self.options = AuditOptions.stored(run.manifest.audit)
        self.data: Dataset = run_audit.open_data(run)
        self.classes, self.size = run.manifest.classes, int(run.manifest.network["size"])
        sources = run_audit.joined_sources(self.data, self.options, report).sources
        self.find: MaskMethod = functools.partial(find_mask, sources=sources, fallback=self.options.mask_method)
        good = self.data.good().drop_duplicates("image")
        self.paths = dict(zip(good["image"], good["path"], strict=True))
        self.host = functools.lru_cache(HOSTS)(self.seen)

    def seen(self, image: str) -> Seen | None:
        """An image at the scale at which it is edited; None where it cannot be read."""
        try:
            path = Path(self.paths[image])
            sample = read_sample(path, image)
            table = read_quantization(path)
        except (DatasetError, KeyError):
            return None
        mask = self.find(sample)
        height, width = sample.pixels.shape[:2]
        most = FINER * self.size
        quality = quality_of(table) if table else LOSSLESS
        values = None if mask is None else np.asarray(mask.values, np.float32)
        if max(height, width) <= most:
            kept = quality if sample.orientation == 1 else None
            return Seen(pixels=sample.pixels, mask=values, quality=kept, grain=self._grain(height, width))
        share = most / max(height, width)
        shape = max(1, round(width * share)), max(1, round(height * share))
        small = np.asarray(Image.fromarray(sample.pixels).resize(shape, Image.Resampling.BILINEAR))
        if values is not None:
            values = np.asarray(Image.fromarray(values).resize(shape, Image.Resampling.BILINEAR), np.float32)
        return Seen(pixels=small, mask=values, quality=None, grain=self._grain(*small.shape[:2]))

    def _grain(self, height: int, width: int) -> float:
        return max(1.0, float(np.sqrt(height * width)) / self.size)

    def answered(self, rows: pd.DataFrame, test: CueTest) -> list[CueRow]:
        """What came of some images; without those that cannot be read any more."""
        seen = {row["image"]: self.seen(row["image"]) for row in typed_records(rows, ChosenRow)}
        usable = [row for row in typed_records(rows, ChosenRow) if seen[row["image"]] is not None]
        questions = [
            CueQuestion(row["image"], each, self.classes.index(row["predicted"]), _unit(row))
            for row in usable
            if (each := seen[row["image"]]) is not None
        ]
        return [row_of(row, answers) for row, answers in zip(usable, test(questions), strict=True)] if questions else []


def _donors(images: _Images, table: pd.DataFrame, classes: Sequence[str], report: Report) -> list[ValueDonor]:
    """Some images of each label with the values of their properties."""
    known = table[table["label"].isin(classes)]
    lots = pd.util.hash_array(known["image"].to_numpy(object), hash_key="0123456789abcdea")
    each = max(LEAST_PER_LABEL, -(-LEAST_DONORS // len(classes)))
    rows = known.assign(_lot=lots).sort_values("_lot").groupby("label").head(each)
    donors, properties = [], image_properties()
    for done, row in enumerate(typed_records(rows, ChosenRow), 1):
        report(Progress("measuring images", done, len(rows)))
        if (seen := images.seen(row["image"])) is None:
            continue
        measured = {name: kind.measure(seen) for name, kind in properties.items()}
        values = {name: value for name, value in measured.items() if value is not None}
        host = functools.partial(images.host, row["image"])
        donors.append(ValueDonor(row["image"], row["label"], _unit(row), values, host))
    return donors


def _unit(row: ChosenRow) -> int:
    """One code for all images of a group, and one for each image without a group."""
    return zlib.crc32(f"group {row['group']}".encode() if row["group"] else f"image {row['image']}".encode())


def row_of(row: ChosenRow, answers: CueAnswers) -> CueRow:
    """One image as the run folder has it."""
    patch = answers.patch
    return {
        "image": row["image"],
        "label": row["label"],
        "predicted": row["predicted"],
        "unit": _unit(row),
        "fold": int(row["fold"]),
        "before": answers.before,
        "exchanges": [
            {
                "name": name,
                "null": each.null,
                "own": list(each.own),
                "other": list(each.other),
                "own_units": list(each.own_units),
                "other_units": list(each.other_units),
                "more": list(each.more),
                "is_loan": each.is_loan,
            }
            for name, each in (*answers.exchanges.items(), *answers.loans.items())
        ],
        "patch": None
        if patch is None
        else {
            "rows": patch.region.shape[0],
            "columns": patch.region.shape[1],
            "cells": np.flatnonzero(patch.region).tolist(),
            "share": patch.share,
            "look": patch.look.astype(np.float16).astype(np.float32).tolist(),
            "erased": patch.erased,
            "placebo": list(patch.placebo),
        },
    }
