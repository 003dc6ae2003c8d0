"""The run folder: its networks, its table, and the names and places of all its files, which no other module knows."""

import hashlib
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from whalecam.config import BLACK_BOX, IN_MEMORY, NO_MAPS, AuditOptions, Columns
from whalecam.errors import RunError
from whalecam.store.json_file import read_json, write_json
from whalecam.store.locks import FileLock
from whalecam.store.manifest import DatasetRecord, Manifest
from whalecam.store.migration import check_version, present_manifest
from whalecam.store.parts import encoded, images_in, last_revisions, read_part, replace_row, row_in
from whalecam.store.training_metrics import TrainingMetrics
from whalecam.words import Words

MANIFEST, METRICS, JOURNAL = "run.json", "metrics.json", "reviews.sqlite"
MODEL, AUDIT, THUMBS, PROPERTIES, REMEDIED = "model", "audit", "thumbs", "properties", "mended"
CORRECTED, DRAWN = "corrected-masks", "drawn-masks"
CUES = "cues"
"""Folders of a run folder."""
MATCHES, MATCH_IMAGES, MATCH_PAIRS, MATCH_QUERIES = "matches", "images", "pairs", "queries"
"""The folder of the matches of individuals, and the folders of its tables."""
MATCH_RECORD, MATCH_NETWORK = "matches.json", "matching.safetensors"
PART = "part-*.parquet"
JOB, JOB_LOG, LOCK, MASKS_LOCK, THUMBS_LOCK = "job.json", "job.log", "audit.lock", "masks.lock", "thumbs.lock"
SIMULATION, EMBEDDING, SELFTEST, CHECKPOINT = "simulation.json", "umap.npz", "selftest.json", "checkpoint.json"
ROWS, VIEWS, LABELS_MAP = "rows.json", "views.json", "labels-map.csv"


class RowCounts(TypedDict):
    """How many rows the audited table has, and how many image names they have."""

    rows: int
    images: int


class Run:
    """One run folder on disk."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._listed: tuple[list[str], list[Path]] = [], []

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def words(self) -> Words:
        """What pages, report and command line call the things of this run."""
        return self.manifest.words

    @property
    def trained(self) -> bool:
        return bool(self.manifest.classes)

    @property
    def can_measure(self) -> bool:
        """Whether its network can be built again from the folder, to measure an image once more."""
        return self.trained and self.manifest.network.get("way") not in (BLACK_BOX, IN_MEMORY)

    @property
    def has_maps(self) -> bool:
        """Whether its audit has activation maps; true before an audit."""
        return self.manifest.exactness != NO_MAPS

    @property
    def has_positions(self) -> bool:
        """Whether its network has positions, by which remedies are simulated and images embedded.

        True where neither network nor audit states it: before an audit, and after one whose maps were not wanted, or
        were refused.
        """
        drew_its_own = self.manifest.audit.get("maps", AuditOptions.maps) == AuditOptions.maps
        stated = bool(self.manifest.network.get("has_positions", True))
        return stated and (self.has_maps or not drew_its_own or "refused_maps" in self.metrics())

    @property
    def reviews_url(self) -> str:
        """SQLAlchemy URL of the journal: WHALECAM_REVIEWS_URL, else `reviews.sqlite` in the folder."""
        return os.environ.get("WHALECAM_REVIEWS_URL") or f"sqlite:///{self.path / JOURNAL}"

    @property
    def reviews_key(self) -> str:
        """Names this run in a journal that several share; copies of its folder have the same. "" in its own journal."""
        if not os.environ.get("WHALECAM_REVIEWS_URL"):
            return ""
        made = f"{self.manifest.created} {self.manifest.dataset.fingerprint}"
        return hashlib.sha256(made.encode()).hexdigest()[:16]

    def stage(self, **changes: Any) -> None:
        """Replace fields of the manifest that the next `update` writes.

        What belongs to a network that is still being trained is written with it: a process that is killed before leaves
        the network that there was with its own data.
        """
        self.manifest = replace(self.manifest, **changes)

    def update(self, **changes: Any) -> None:
        """Replace fields of the manifest and write it."""
        self.stage(**changes)
        write_json(manifest_in(self.path), self.manifest.content())

    def save_checkpoint(
        self, fold: int, tensors: Mapping[str, NDArray[Any]], training: Iterable[str], validation: Iterable[str] = ()
    ) -> str:
        """Write one fold's weights and the names of the images it was trained and validated on.

        Returns: the weights' SHA-256.
        """
        target = self.path / MODEL / f"fold-{fold}.safetensors"
        target.parent.mkdir(exist_ok=True)
        aside = target.with_suffix(".writing")
        save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, aside)
        aside.replace(target)
        write_json(target.with_suffix(".json"), {"training": sorted(training), "validation": sorted(validation)})
        return hashlib.sha256(target.read_bytes()).hexdigest()

    def drop_checkpoints(self, first: int) -> None:
        """Remove the folds from `first` on, which an earlier training left."""
        for fold in range(first, self.folds):
            for suffix in (".safetensors", ".json"):
                (self.path / MODEL / f"fold-{fold}{suffix}").unlink(missing_ok=True)

    @property
    def folds(self) -> int:
        """How many networks the run holds, numbered from 0."""
        return len(list((self.path / MODEL).glob("fold-*.safetensors")))

    def load_checkpoint(self, fold: int = 0) -> dict[str, NDArray[Any]]:
        """Read one fold's weights. Raises RunError where there is none."""
        source = self.path / MODEL / f"fold-{fold}.safetensors"
        if not source.is_file():
            raise RunError(f"Run '{self.name}' has no trained network ({source}). Train it first: whalecam train.")
        return load_file(source)

    def training_images(self, fold: int = 0) -> set[str]:
        """Names of the images that the fold's network was trained on."""
        return set(read_json(self.path / MODEL / f"fold-{fold}.json")["training"])

    def validation_images(self, fold: int = 0) -> set[str]:
        """Names of the images that the fold's network was validated on; empty where that was not noted."""
        return set(read_json(self.path / MODEL / f"fold-{fold}.json").get("validation", ()))

    def save_metrics(self, metrics: Mapping[str, object]) -> None:
        write_json(self.path / METRICS, metrics)

    def metrics(self) -> TrainingMetrics:
        """What training wrote: epochs and results; empty before training."""
        target = self.path / METRICS
        return cast(TrainingMetrics, read_json(target)) if target.is_file() else {}

    def parts(self) -> list[Path]:
        """Parts of the audit, by name, each in its last revision: every reader of the table begins here.

        Only new names become paths, for pages ask often and there may be thousands.
        """
        names = sorted(glob(PART, root_dir=self.path / AUDIT))  # noqa: PTH207 - which makes paths of all
        listed = self._listed
        if listed[0] != names:
            self._listed = listed = names, [self.path / AUDIT / name for name in last_revisions(names)]
        return list(listed[1])

    def write_part(self, rows: Sequence[Mapping[str, object]]) -> Path:
        """Store one batch of rows, by the columns of SCHEMA; those that a row lacks are null.

        The part appears whole or not at all.
        """
        return self.take_part(encoded(rows))

    def take_part(self, content: bytes) -> Path:
        """Store rows that are Parquet of SCHEMA already."""
        folder = self.path / AUDIT
        folder.mkdir(exist_ok=True)
        target = folder / _part_name(len(self.parts()))
        aside = target.with_suffix(".writing")
        aside.write_bytes(content)
        aside.replace(target)
        return target

    def replace_row(self, image: str, row: pa.Table) -> None:
        """Put a row in the place of an image's, at once for every reader: its part gets another revision.

        Args:
            row: one row of SCHEMA.

        Raises RunError where the image has no row.
        """
        replaced = [replace_row(part, image, row) for part in self.parts()]
        if not any(replaced):
            raise self._without(image)

    def row_of(self, image: str) -> pa.Table:
        """The row of an image, by the columns of SCHEMA. Raises RunError where it has none."""
        for part in reversed(self.parts()):
            if (row := row_in(part, image)) is not None:
                return row
        raise self._without(image)

    def _without(self, image: str) -> RunError:
        return RunError(f"Run '{self.name}' has no row for '{image}'. Name an image as in the CSV, after an audit.")

    @contextmanager
    def auditing(self) -> Iterator[None]:
        """While the table is being filled: no single row is made anew meanwhile. Several audits may go on at once."""
        with FileLock(self.path / LOCK).shared():
            yield

    @contextmanager
    def correcting(self, patience: float = 60.0) -> Iterator[None]:
        """While the mask of one image is being corrected.

        Args:
            patience: seconds to wait for somebody else who corrects one.

        Raises RunError while an audit fills the table.
        """
        correctors, audits = FileLock(self.path / MASKS_LOCK), FileLock(self.path / LOCK)
        with correctors.alone(patience) as is_first, audits.alone(0.0) as is_free:
            if not (is_first and is_free):
                raise RunError(
                    f"An audit of run '{self.name}' is going on, or another mask is being corrected. Try again when it "
                    "has ended."
                )
            yield

    @property
    def corrected_masks(self) -> Path:
        """The folder of the masks that people corrected, as `--masks` takes it."""
        return self.path / CORRECTED

    @property
    def drawn_masks(self) -> Path:
        """The folder of the masks that were drawn on a page and whose rows are not made yet."""
        return self.path / DRAWN

    def audited(self) -> set[str]:
        """Names of the images that have a row; what an interrupted writer left half done is removed."""
        for half in (self.path / AUDIT).glob("*.writing"):
            half.unlink(missing_ok=True)
        return images_in(self.parts())

    def some_audited(self, parts: int) -> set[str]:
        """Names of images that have a row, out of so many parts at most."""
        return images_in(self.parts()[:parts])

    def mask_sources(self) -> dict[str, int]:
        """How many rows of the audit have a mask of each source; `none` counts those without one."""
        columns = (read_part(part, ["mask_source"])[0].to_pylist() for part in self.parts())
        return dict(Counter(name or "none" for column in columns for name in column))

    def clear_audit(self) -> None:
        """Forget every row and thumbnail; the audit starts anew. Verdicts of people stay."""
        for folder in (AUDIT, THUMBS):
            shutil.rmtree(self.path / folder, ignore_errors=True)

    @property
    def thumbs(self) -> Path:
        """Where thumbnails lie."""
        return self.path / THUMBS

    @property
    def properties(self) -> Path:
        """Where what was measured on the data set's images lies."""
        return self.path / PROPERTIES

    def property_parts(self) -> list[Path]:
        """The files of what was measured on the data set's images, in the order of writing."""
        return parts_in(self.properties)

    @property
    def cues(self) -> Path:
        """Where what the cue test measured lies."""
        return self.path / CUES

    @property
    def remedied(self) -> Path:
        """Where the data set lies that a remedy made and that the run was trained on."""
        return self.path / REMEDIED

    @property
    def simulation(self) -> Path:
        """The file of what was last simulated with the run's network."""
        return self.path / SIMULATION

    @property
    def embedding(self) -> Path:
        """The file of the places of the images by UMAP."""
        return self.path / EMBEDDING

    def save_row_counts(self, counts: RowCounts) -> None:
        """Note what an audit found in its table, beside the manifest, whose fields earlier versions read."""
        write_json(self.path / ROWS, counts)

    def row_counts(self) -> RowCounts | None:
        """What the last audit noted; None for one of an earlier version."""
        noted = read_json(self.path / ROWS) if (self.path / ROWS).is_file() else {}
        rows, images = noted.get("rows"), noted.get("images")
        return RowCounts(rows=rows, images=images) if isinstance(rows, int) and isinstance(images, int) else None

    @property
    def matches(self) -> Path:
        """The folder of the matches of individuals."""
        return self.path / MATCHES

    @property
    def selftest(self) -> Path:
        """The file of the last self-test that was started from the run's pages."""
        return self.path / SELFTEST

    @property
    def views(self) -> Path:
        """The file of the filters that somebody gave a name."""
        return self.path / VIEWS

    @property
    def checkpoint_record(self) -> Path:
        """The file of what the checkpoint was recognized as that somebody last looked at for this run."""
        return self.path / CHECKPOINT

    @property
    def labels_map(self) -> Path:
        """Where a labels map lies that the pages hand to a training."""
        return self.path / LABELS_MAP

    @property
    def own_table(self) -> Path:
        """Where the table of a data set lies that was given in memory, without a file."""
        return self.path / "dataset.csv"


def manifest_in(folder: Path) -> Path:
    """The manifest of a run folder."""
    return folder / MANIFEST


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder."""
    return manifest_in(folder).is_file()


def is_audited(folder: Path) -> bool:
    """Whether any image of a run folder has been audited."""
    return any((folder / AUDIT).glob(PART))


def job_in(folder: Path) -> Path:
    """The record of the last job on a run folder."""
    return folder / JOB


def job_log_in(folder: Path) -> Path:
    """What the last job on a run folder reported."""
    return folder / JOB_LOG


def parts_in(folder: Path) -> list[Path]:
    """The parts of a table that lie in a folder, in the order of writing."""
    return sorted(folder.glob(PART))


def next_part(folder: Path) -> Path:
    """Where the next part of a table in a folder is to lie: behind all others, some of which may be gone."""
    numbers = [int(number) for path in parts_in(folder) if (number := path.name.split("-")[1]).isdecimal()]
    return folder / _part_name(max(numbers, default=-1) + 1)


def _part_name(number: int) -> str:
    return f"part-{number:06d}-{uuid.uuid4().hex[:8]}.parquet"


def part_of(folder: str, name: str) -> str:
    """The place of a part in a run folder that is written elsewhere, as in `audit/part-1f3a.parquet`."""
    return f"{folder}/part-{name}.parquet"


def create_run(path: Path, dataset: DatasetRecord, words: Words | None = None) -> Run:
    """Make a run folder for a data set, or take an existing one over and stage that data set.

    An existing run has the network and the audit of its present data: its next `update` writes the other data set, with
    the network that is made of it.

    Args:
        words: None: those of the run, else of the columns of the data set.

    Raises RunError where the folder exists and is something else.
    """
    is_filled = path.is_dir() and any(path.iterdir())
    if is_filled and not any((path / name).is_file() for name in (MANIFEST, JOB)):
        raise RunError(f"{path} exists and is not a run folder. Name a new folder, or one that contains run.json.")
    path.mkdir(parents=True, exist_ok=True)
    if is_run(path):
        run = open_run(path)
        run.stage(dataset=dataset, words=words or run.words)
        return run
    run = Run(path.resolve(), Manifest(dataset=dataset, created=now()))
    run.update(words=words or Words.of_columns(Columns(**dataset.columns)))
    return run


def open_run(path: Path) -> Run:
    """Open a run folder. Raises RunError where it is missing, broken or of another version."""
    target = manifest_in(Path(path))
    if not target.is_file():
        raise RunError(
            f"{path} is not a run folder: it has no run.json. Make one with: whalecam train CSV IMAGES --run {path}"
        )
    content = present_manifest(read_json(target))
    check_version(content.get("schema_version"), target)
    try:
        dataset = DatasetRecord(**content.pop("dataset"))
        content["classes"] = tuple(content["classes"])
        content["words"] = Words(**content["words"])
        return Run(Path(path).resolve(), Manifest(dataset=dataset, **content))
    except (TypeError, KeyError) as error:
        raise RunError(
            f"{target} is not a WhaleCAM manifest: {error}. Restore it from a copy, or train again."
        ) from error


def list_runs(folder: Path) -> list[Path]:
    """The run folders directly below `folder`, newest first."""
    folders: Iterable[Path] = (path.parent for path in folder.glob(f"*/{MANIFEST}"))
    return sorted(folders, key=lambda path: manifest_in(path).stat().st_mtime, reverse=True)


def now() -> str:
    """The present moment, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
