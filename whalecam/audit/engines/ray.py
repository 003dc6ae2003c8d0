"""An audit on a Ray cluster: the same explainer as an actor pool on Ray Data. The only module that knows Ray.

Each task is some batches of one fold. Its rows and thumbnails come back to the driver, which alone writes the run; or,
where a URL is given to write to, workers write there and only say how many. A task that is tried again after its worker
died gives the same rows under the same name, so nothing is lost or doubled.
"""

import functools
import hashlib
import io
import json
import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from whalecam.arrays import records
from whalecam.audit.fold_job import Done, Work
from whalecam.errors import DatasetError, RunError
from whalecam.explain.explainer import Explained
from whalecam.extras import install
from whalecam.store.run import AUDIT, THUMBS, Run, part_of
from whalecam.store.schema import SCHEMA
from whalecam.store.thumbnails import packed, save_thumbs, unpacked

CONNECT_SECONDS = 10.0
BATCHES = 4
"""Batches a task: what a worker's death costs."""


@dataclass(frozen=True)
class OnRay:
    """The engine of a cluster.

    Attributes:
        address: of the cluster, as in `ray://host:10001` or `auto`; None starts Ray on this machine.
        images: URL of the image folder as workers see it (`s3://bucket/photos`, `file:///mnt/photos`); None: they see
            the files where this machine does.
        parts: URL of a folder that workers write `audit/` and `thumbs/` to; None: rows come back and land in the run.
        workers: actors; None: one a core of the cluster (one a GPU where the device is cuda).
    """

    address: str | None = None
    images: str | None = None
    parts: str | None = None
    workers: int | None = None

    def audited(self, run: Run) -> set[str]:
        """Names of the images that have a row, where rows are written to. Raises RunError where nobody answers."""
        _connected(self.address, self.workers)
        if self.parts is None:
            return run.audited()
        store, home = opened(self.parts)
        files = store.get_file_info(fs.FileSelector(f"{home}/audit", allow_not_found=True))
        parts = [info.path for info in files if info.path.endswith(".parquet")]
        return {
            name for path in parts for name in pq.read_table(path, columns=["image"], filesystem=store)[0].to_pylist()
        }

    def __call__(self, run: Run, work: Work, batches: Sequence[pd.DataFrame]) -> Iterator[Done]:
        """Explain the batches on the cluster. Raises RunError where Ray is not installed or not to be reached."""
        ray = _connected(self.address, self.workers)
        root = str(run.manifest.dataset.images or "")
        tasks = [
            {"task": json.dumps([records(batch) for batch in batches[start : start + BATCHES]])}
            for start in range(0, len(batches), BATCHES)
        ]
        on_gpu = work.options.device.startswith("cuda")
        resources = ray.cluster_resources()
        count = self.workers or max(1, int(resources.get("GPU" if on_gpu else "CPU", 1)))
        results = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            Worker,
            fn_constructor_kwargs={"work": ray.put(work), "root": root, "images": self.images, "parts": self.parts},
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(count, len(tasks))),
            num_cpus=1,
            **({"num_gpus": 1} if on_gpu else {}),
        )
        for row in results.iter_rows():
            if row["failed"]:
                raise RunError(f"A worker gave up: {row['failed']}")
            if row["rows"]:
                _take(run, row["rows"], row["thumbs"])
            yield int(row["count"]), int(row["passes"])


class Worker:
    """One actor: an explainer, and the way to images and to the place for rows."""

    def __init__(self, work: Any, root: str, images: str | None, parts: str | None) -> None:
        import ray
        import torch

        torch.set_num_threads(1)
        self.explainer = (ray.get(work) if isinstance(work, ray.ObjectRef) else work).explainer()
        self.root, self.images, self.parts = root, images, parts

    def __call__(self, task: dict[str, Any]) -> dict[str, list[Any]]:
        """Explain the batches of a task: `count` rows, and `rows` and `thumbs` as Parquet, or empty.

        `passes` are those of the background test. `failed` says in words why there is nothing: an exception would come
        out of Ray as pages of traceback.
        """
        before = self._passes()
        try:
            explained = [item for batch in json.loads(task["task"][0]) for item in self._explained(pd.DataFrame(batch))]
        except DatasetError as error:
            return {"count": [0], "passes": [0], "rows": [b""], "thumbs": [b""], "failed": [str(error)]}
        rows = _parquet(pa.Table.from_pylist([item.row for item in explained], schema=SCHEMA))
        thumbs = packed({item.row["image"]: item.thumb for item in explained if item.thumb})
        if self.parts is not None:
            names = "\n".join(item.row["image"] for item in explained)
            name = hashlib.sha256(names.encode()).hexdigest()[:24]
            stored(self.parts, part_of(THUMBS, name), thumbs)
            stored(self.parts, part_of(AUDIT, name), rows)
            rows = thumbs = b""
        passes = self._passes() - before
        return {"count": [len(explained)], "passes": [passes], "rows": [rows], "thumbs": [thumbs], "failed": [""]}

    def _passes(self) -> int:
        return self.explainer.tester.passes if self.explainer.tester else 0

    def _explained(self, batch: pd.DataFrame) -> list[Explained]:
        if self.images is None:
            return list(self.explainer(batch))
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / str(place) for place in range(len(batch))]
            for path, target in zip(batch["path"], paths, strict=True):
                if path:
                    fetch(str(self.images), os.path.relpath(path, self.root), target)
            copies = [str(target) if path else "" for path, target in zip(batch["path"], paths, strict=True)]
            return list(self.explainer(batch.assign(path=copies)))


@functools.cache
def opened(url: str) -> tuple[fs.FileSystem, str]:
    """The file system and path of a URL; of a plain path, this machine's. Raises DatasetError for another scheme."""
    try:
        store, path = fs.FileSystem.from_uri(url if "://" in url else Path(url).resolve().as_uri())
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"'{url}' is no URL that can be read: {error}. Use file:///…, s3://… or gs://….") from error
    return store, path.rstrip("/")


def fetch(url: str, name: str, target: Path) -> None:
    """Copy a file from below a URL's folder; nothing where it is not there.

    Raises DatasetError where the store refuses or does not answer, so that no image is called missing for that.
    """
    store, home = opened(url)
    try:
        with store.open_input_stream(f"{home}/{name}") as source:
            target.write_bytes(source.read())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DatasetError(f"'{name}' cannot be read from '{url}': {error}") from error


def stored(url: str, name: str, data: bytes) -> None:
    """Write a file below a URL's folder, aside first, so that nobody sees half of it."""
    store, home = opened(url)  # before the name is added: a URL may end in options (`?region=…`)
    place = f"{home}/{name}"
    store.create_dir(place.rpartition("/")[0], recursive=True)
    aside = f"{place}.{os.getpid()}.writing"
    with store.open_output_stream(aside) as target:
        target.write(data)
    store.move(aside, place)


def _parquet(rows: pa.Table) -> bytes:
    target = io.BytesIO()
    pq.write_table(rows, target, compression="zstd", row_group_size=64)
    return target.getvalue()


def _take(run: Run, rows: bytes, thumbs: bytes) -> None:
    """Thumbnails first: an image that has a row is not looked at again."""
    save_thumbs(run, unpacked(thumbs))
    run.take_part(rows)


def _connected(address: str | None, workers: int | None) -> Any:
    """Ray, connected. Raises RunError in plain words where it is not installed or nobody answers."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise RunError(f"Ray cannot be loaded here: {error}. Install the extra ray: {install('ray')}") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        _ask_for(address)
        local: dict[str, Any] = {} if address else {"num_cpus": workers or os.cpu_count(), "include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RunError(
                f"There is no Ray cluster at '{address}': {error}. Start one, or leave --address out."
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _ask_for(address: str | None) -> None:
    """Raises RunError where no machine listens at a `host:port`, for which Ray itself would wait some minutes."""
    host, _, port = (address or "").rpartition("//")[2].rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise RunError(
            f"There is no Ray cluster at '{address}': {error}. Start one, or leave --address out."
        ) from error
