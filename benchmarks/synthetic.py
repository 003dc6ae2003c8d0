"""An audited run of any size whose figures are drawn by chance, for what depends on the number of rows alone.

Names, species and individuals follow the real data set: 30 species whose sizes fall off geometrically, 15 images to
every four individuals. Images, thumbnails and maps are a few, under many names.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from whalecam import network
from whalecam.config import MASK_GRID
from whalecam.explain import render
from whalecam.network import Network
from whalecam.network.training import adopt
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.schema import SCHEMA
from whalecam.store.thumbnails import FULL, save_thumbs

CLASSES, PART_ROWS, SOURCES, GRID, SIZE, VECTOR = 30, 512, 64, 4, 128, 512
NAMES = np.array([f"species_{c:02d}" for c in range(CLASSES)])
Texts = NDArray[np.str_]
Whole = NDArray[np.int64]
NOTHING = np.array(None, object)
DONORS = {"own": 1, "other": 3}
"""Donors that lend each image their background: those of the first round of the background test, which most stop at."""
LENDING = 48
"""Donors of each label."""


def write_run(folder: Path, rows: int, seed: int = 0, files: bool = True) -> Run:
    """A trained and audited run of `rows` images in `folder`; `files`: with images and thumbnails, hard-linked."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    names, label, owner = _pictures(rows, rng)
    images = folder / "images"
    images.mkdir()
    lines = [f"{n},species_{c:02d},{i:012x}" for n, c, i in zip(names, label, owner, strict=True)]
    (folder / "train.csv").write_text("\n".join(["image,species,individual_id", *lines]), encoding="utf-8")
    record = DatasetRecord(str(folder / "train.csv"), str(images), {}, hashlib.sha256(b"synthetic").hexdigest())
    run = create_run(folder / "run", record)
    adopt(run, untrained(NAMES.tolist()))
    if files:
        _files(run, images, names.tolist(), rng)
    _parts(run, names, label, owner, rng)
    run.update(audit={"model_sha256": run.manifest.model_sha256})
    return run


def write_twin(run: Run, rows: int, seed: int = 0) -> Run:
    """A second run beside one of `write_run(…, rows, seed)`: the same images, its network a bit better."""
    twin = create_run(run.path.parent / "twin", run.manifest.dataset)
    adopt(twin, untrained(NAMES.tolist()))
    (twin.path / "thumbs").symlink_to(run.path / "thumbs")
    _parts(twin, *_pictures(rows, np.random.default_rng(seed)), np.random.default_rng(seed + 1), sure=2.2)
    twin.update(audit={"model_sha256": twin.manifest.model_sha256})
    return twin


def write_both(folder: Path, rows: int) -> None:
    """`run` and `twin` in `folder`; one that is there already stays."""
    if not (folder / "run" / "run.json").is_file():
        write_run(folder, rows)
    if not (folder / "twin" / "run.json").is_file():
        write_twin(open_run(folder / "run"), rows)


def _pictures(rows: int, rng: np.random.Generator) -> tuple[Texts, Whole, Whole]:
    """Names, labels and individuals."""
    names = np.array([hashlib.sha256(str(n).encode()).hexdigest()[:14] + ".jpg" for n in range(rows)])
    weights = 0.85 ** np.arange(CLASSES)
    label = rng.choice(CLASSES, rows, p=weights / weights.sum())
    return names, label, rng.integers(0, max(1, rows * 4 // 15), rows)


def untrained(classes: Sequence[str], arch: str = "resnet18") -> Network:
    """A network for inputs of SIZE that has learnt nothing: it costs what a trained one does."""
    body = network.build_body(arch, pretrained=False)
    head = network.linear_head(body.channels, len(classes)).eval()
    return Network(body.features.eval(), head, arch, tuple(classes), SIZE, "squish", body.mean, body.std)


def _files(run: Run, images: Path, names: list[str], rng: np.random.Generator) -> None:
    """Hard links, many to one file; a file system allows tens of thousands of them."""
    copies = max(SOURCES, len(names) // 20_000)
    store = images.parent / "sources"
    store.mkdir()
    thumbs: list[bytes] = []
    for number in range(copies):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
        pixels = np.asarray(coarse.resize((SIZE, SIZE * 3 // 4)), np.uint8)
        Image.fromarray(pixels).save(store / f"{number}.jpg")
        thumbs.append(render.thumbnail(pixels))
    for number, name in enumerate(names):
        os.link(store / f"{number % copies}.jpg", images / name)
    for start in range(0, len(names), FULL):
        chunk = range(start, min(start + FULL, len(names)))
        save_thumbs(run, {names[number]: thumbs[number % copies] for number in chunk})


def _parts(run: Run, names: Texts, label: Whole, owner: Whole, rng: np.random.Generator, sure: float = 2.0) -> None:
    pool = 256
    maps = np.array([rng.normal(0, 1, (CLASSES, GRID, GRID)).astype("<f2").tobytes() for _ in range(pool)], object)
    bits = np.array([np.packbits(_animal(rng)).tobytes() for _ in range(pool)], object)
    seen = np.array([(rng.integers(0, 9, VECTOR) / 8).astype("<f2").tobytes() for _ in range(pool)], object)
    (run.path / "audit").mkdir()
    for number, start in enumerate(range(0, len(names), PART_ROWS)):
        at = slice(start, min(start + PART_ROWS, len(names)))
        picked = rng.integers(0, pool, len(names[at]))
        values: dict[str, Any] = {"image": names[at], "group": [f"{i:012x}" for i in owner[at]]}
        values |= {"maps": maps[picked], "mask_bits": bits[picked], "embedding": seen[picked]}
        values |= _judged(label[at], rng, sure) | _scored(rng, len(picked))
        values |= _exchanged(np.searchsorted(NAMES, values["predicted"]), rng)
        rows = pa.Table.from_arrays([_column(field, values, len(picked)) for field in SCHEMA], schema=SCHEMA)
        target = run.path / "audit" / f"part-{number:06d}-synthetic.parquet"
        pq.write_table(rows, target, compression="zstd", row_group_size=64)


def _animal(rng: np.random.Generator) -> NDArray[np.bool_]:
    """A box somewhere in the image."""
    top, left = rng.integers(0, MASK_GRID // 2, 2)
    height, width = rng.integers(MASK_GRID // 8, MASK_GRID // 2, 2)
    mask = np.zeros((MASK_GRID, MASK_GRID), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def _column(field: pa.Field, values: dict[str, Any], count: int) -> pa.Array:
    if field.name not in values:
        return pa.nulls(count, field.type)
    return pa.array(values[field.name], field.type, from_pandas=True)


def _judged(label: Whole, rng: np.random.Generator, sure: float) -> dict[str, Any]:
    """What the network is made to say of images with these labels, whose logits stand out by `sure`."""
    count = len(label)
    logits = np.where(np.arange(CLASSES) == label[:, None], sure, 0.0) + rng.normal(0, 1, (count, CLASSES))
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own = logits[np.arange(count), label]
    return {
        "label": NAMES[label],
        "predicted": NAMES[logits.argmax(axis=1)],
        "confidence": np.exp(logits.max(axis=1)),
        "p_label": np.exp(own),
        "loss": -own,
        "logits": list(logits.astype(np.float32)),
        "in_training": rng.random(count) < 0.5,
        "fold": np.zeros(count, int),
        "map_height": np.full(count, GRID),
        "map_width": np.full(count, GRID),
        "width": np.full(count, SIZE),
        "height": np.full(count, SIZE * 3 // 4),
    }


def _exchanged(label: Whole, rng: np.random.Generator) -> dict[str, Any]:
    """What the background test gave of images predicted so: every second class relies on its background."""
    count, relies = len(label), label % 2 == 0
    drop = np.where(relies, 0.9 * rng.beta(12, 1, count), rng.normal(0.02, 0.05, count))
    own = 0.9 + rng.normal(0, 0.03, (count, DONORS["own"]))
    other = (0.9 - drop)[:, None] + rng.normal(0, 0.05, (count, DONORS["other"]))
    donor = rng.integers(LENDING, size=(count, sum(DONORS.values())))
    elsewhere = (label[:, None] + rng.integers(1, CLASSES, (count, DONORS["other"]))) % CLASSES
    fell = np.where(drop > 0.4, drop, np.nan)
    return {
        "reliance": fell,
        **{f"reliance_{name}": fell for name in ("colour", "brightness", "texture", "together")},
        "reliance_swap": 0.9 - other.mean(axis=1),
        "reliance_on": np.where(drop > 0.4, "colour", NOTHING),
        "exchange_own": list(own),
        "exchange_other": list(other),
        "exchange_own_donors": list(LENDING * label[:, None] + donor[:, : DONORS["own"]]),
        "exchange_other_donors": list(LENDING * elsewhere + donor[:, DONORS["own"] :]),
        "bg_gap": own.mean(axis=1) - other.mean(axis=1),
        "background_only_predicted": NAMES[label],
    }


def _scored(rng: np.random.Generator, count: int) -> dict[str, Any]:
    """Scores of the maps, by chance."""
    attention_score = rng.normal(0.7, 0.35, count)
    plain = (
        "mask_area",
        "mask_confidence",
        "background_share",
        "background_share_label",
        "floor",
        "chance",
        "completeness_error",
        "peak",
    )
    return {
        **{name: rng.random(count) for name in plain},
        "attention_score": attention_score,
        "attention_score_label": attention_score,
        "mask_source": ["net"] * count,
        "reason": [""] * count,
    }
