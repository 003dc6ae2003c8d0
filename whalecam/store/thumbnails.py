"""The thumbnails of a run, packed: Parquet files of about a thousand, of which a reader decodes a few rows."""

import functools
import hashlib
import io
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whalecam.store.locks import FileLock
from whalecam.store.run import THUMBS_LOCK, Run, next_part, parts_in

SCHEMA = pa.schema([("image", pa.string()), ("thumb", pa.binary())])
FULL = 1024
"""Thumbnails of a pack that takes no more."""
GROUP = 16
"""Thumbnails that are read together."""
GROUPS = 128
"""Such groups that are kept, of all runs: some 12 MB."""
SETTLED = 1_000_000_000
"""Nanoseconds after which the time of a folder's change is its last one's, on every file system."""
Keys = NDArray[np.uint64]


def packed(thumbs: Mapping[str, bytes]) -> bytes:
    """A pack: by name of the image, the content of its thumbnail's file."""
    rows, target = pa.table([list(thumbs), list(thumbs.values())], schema=SCHEMA), io.BytesIO()
    pq.write_table(rows, target, compression="none", use_dictionary=False, row_group_size=GROUP)
    return target.getvalue()


def unpacked(pack: bytes | Path) -> dict[str, bytes]:
    """The inverse of `packed`."""
    with pq.ParquetFile(io.BytesIO(pack) if isinstance(pack, bytes) else pack) as file:
        rows = file.read(columns=SCHEMA.names)
    return dict(zip(rows["image"].to_pylist(), rows["thumb"].to_pylist(), strict=True))


def save_thumbs(run: Run, thumbs: Mapping[str, bytes]) -> None:
    """Keep thumbnails, WebP or JPEG, in place of those before; all of them appear, or none.

    The newest pack is written anew with them until it is FULL, so that the number of files follows the number of
    images and not that of calls. Audits of one run that save at once wait for each other, half a minute at most.
    """
    if thumbs:
        with FileLock(run.path / THUMBS_LOCK).alone(30.0):
            _save(run, thumbs)


def _save(run: Run, thumbs: Mapping[str, bytes]) -> None:
    run.thumbs.mkdir(exist_ok=True)
    for half in run.thumbs.glob("*.writing"):  # of a writer that was killed
        half.unlink(missing_ok=True)
    newest = parts_in(run.thumbs)[-1:]
    open_packs = [pack for pack in newest if pq.read_metadata(pack).num_rows < FULL]
    known = {name: thumb for pack in open_packs for name, thumb in unpacked(pack).items()}
    target = next_part(run.thumbs)
    aside = target.with_suffix(".writing")
    aside.write_bytes(packed({**known, **thumbs}))
    aside.replace(target)
    for pack in open_packs:
        pack.unlink(missing_ok=True)


def earlier_path(run: Run, image: str) -> Path:
    """Where an earlier version kept an image's thumbnail: each in a file.

    The name is a hash, so no name in a CSV can lead out of the folder.
    """
    jpeg = run.thumbs / f"{hashlib.sha256(image.encode()).hexdigest()[:24]}.jpg"
    return jpeg if jpeg.is_file() else jpeg.with_suffix(".webp")


def thumbnail_of(run: Run, image: str) -> bytes | None:
    """The file of an image's thumbnail, WebP or JPEG; None where there is none."""
    thumb = _packs_of(str(run.thumbs)).get(image)
    if thumb is None and (earlier := earlier_path(run, image)).is_file():
        return earlier.read_bytes()
    return thumb


class Packs:
    """Where each thumbnail of a folder lies, by a hash of its image's name: 24 bytes an image.

    A pack never changes; packs come, and go where another took their content over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._changing = folder, threading.Lock()
        self._known: dict[Path, Keys] = {}
        self._stamp = -1
        self._order()

    def get(self, image: str) -> bytes | None:
        """The newest thumbnail of an image, of the packs that there are now; None where there is none."""
        with self._changing:
            stamp = self._folder.stat().st_mtime_ns if self._folder.is_dir() else 0
            if stamp != self._stamp:
                self._list()
                # A folder that changed just now may change again without another stamp.
                self._stamp = stamp if time.time_ns() - stamp > SETTLED else -1
            try:
                return self._find(image)
            except FileNotFoundError:  # taken over by another pack since
                self._list()
                return self._find(image)

    def _find(self, image: str) -> bytes | None:
        key = _keys([image])[0]
        first, last = (int(np.searchsorted(self._keys, key, side)) for side in ("left", "right"))
        for at in range(last - 1, first - 1, -1):
            name, thumb = _row(self._packs[self._pack[at]], int(self._row[at]))
            if name == image:
                return thumb
        return None

    def _list(self) -> None:
        """Take in which packs there are now."""
        packs = parts_in(self._folder)
        if packs == self._packs:
            return
        known = {}
        for pack in packs:
            try:
                known[pack] = self._known[pack] if pack in self._known else _keys_in(pack)
            except FileNotFoundError:  # taken over by another just now, which is listed too or will be
                continue
        self._known = known
        self._order()

    def _order(self) -> None:
        self._packs = list(self._known)
        sizes = [len(keys) for keys in self._known.values()]
        keys = np.concatenate([np.empty(0, np.uint64), *self._known.values()])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._pack = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        self._row = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)])[order]


@functools.lru_cache(maxsize=16)
def _packs_of(folder: str) -> Packs:
    return Packs(Path(folder))


def _keys(names: list[str]) -> Keys:
    return np.asarray(pd.util.hash_array(np.array(names, object), categorize=False), np.uint64)


def _keys_in(pack: Path) -> Keys:
    with pq.ParquetFile(pack) as file:
        return _keys(file.read(columns=["image"])["image"].to_pylist())


def _row(pack: Path, row: int) -> tuple[str, bytes]:
    group, place = divmod(row, _rows_of_group(pack))
    names, thumbs = _group(pack, group)
    return names[place], thumbs[place]


@functools.lru_cache(maxsize=4096)
def _rows_of_group(pack: Path) -> int:
    """Of all groups but the last; Ray's workers wrote longer ones in earlier versions."""
    return int(pq.read_metadata(pack).row_group(0).num_rows)


@functools.lru_cache(maxsize=GROUPS)
def _group(pack: Path, group: int) -> tuple[list[str], list[bytes]]:
    with pq.ParquetFile(pack) as file:
        rows = file.read_row_group(group, columns=SCHEMA.names)
    return rows["image"].to_pylist(), rows["thumb"].to_pylist()
