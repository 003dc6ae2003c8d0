"""The audit on a local Ray of two workers: the same table as the local engine's, whatever happens to a worker."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from whalecam import audit, leak
from whalecam.config import AuditOptions, Thresholds
from whalecam.errors import DatasetError, RunError
from whalecam.ray_runner import OnRay, opened, stored
from whalecam.run import Run, open_run
from whalecam.table import Table

EXACT = ["image", "species", "fold", "predicted", "verdict", "reason", "mask_source", "needs_property", "map_height"]
CLOSE = ["confidence", "loss", "leak", "floor", "chance", "excess", "needs", "needs_swap", "bg_gap", "mask_agreement"]


@pytest.fixture(scope="module", autouse=True)
def ray_of_two() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    yield
    ray.shutdown()


@pytest.fixture
def run(runs: Path) -> Run:
    return open_run(runs / "demo")


def rows_of(run: Run) -> tuple[pd.DataFrame, dict[str, Any]]:
    table = Table(run.parts(), leak.verdicts, Thresholds())
    rows = table.all_rows()
    return rows, table.overlays_of(rows["image"].tolist())


def audited(run: Run, engine: Any, **changes: Any) -> None:
    stored = {**vars(AuditOptions.stored(run.manifest.audit)), "limit": 24, "batch": 2, "donors": 2, **changes}
    audit.run_audit(run, audit.open_data(run), AuditOptions(**stored), engine=engine)


def workers() -> list[int]:
    """Process ids of Ray's actors that explain."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"MapWorker" in place.read_bytes():
                found.append(int(place.parent.name))
    return found


def assert_alike(one: Run, other: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    rows, overlays = rows_of(one)
    wanted, shown = other
    pd.testing.assert_frame_equal(rows[EXACT], wanted[EXACT])
    np.testing.assert_allclose(rows[CLOSE].to_numpy(float), wanted[CLOSE].to_numpy(float), atol=1e-3)
    for image, overlay in shown.items():
        assert overlay.mask_bits == overlays[image].mask_bits
        if overlay.maps is not None:
            np.testing.assert_allclose(overlays[image].maps, overlay.maps, atol=1e-3)
        assert one.thumb(image).is_file() == (overlay.maps is not None)


@pytest.fixture
def local(run: Run) -> tuple[pd.DataFrame, dict[str, Any]]:
    run.clear_audit()
    audited(run, audit.LOCAL)
    found = rows_of(run)
    run.clear_audit()
    return found


def test_the_table_is_that_of_the_local_engine_though_a_worker_is_killed(run: Run, local: Any) -> None:
    """The first worker seen is killed; what it was at is done again by another, and no row is there twice."""
    killed: list[int] = []

    def kill() -> None:
        until = time.monotonic() + 60
        while not killed and time.monotonic() < until:
            for pid in workers():
                time.sleep(1.0)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    audited(run, OnRay(workers=2))
    killer.join()
    assert killed
    assert_alike(run, local)


def test_what_is_held_already_is_not_done_again(run: Run, local: Any) -> None:
    audited(run, OnRay(workers=2), limit=8)
    before = run.parts()
    audited(run, OnRay(workers=2))
    assert set(before) < set(run.parts())
    assert_alike(run, local)


def test_workers_read_and_write_by_url(run: Run, local: Any, tmp_path: Path) -> None:
    """The workers see the pictures in another place, and write their rows where the driver never looks."""
    source = Path(str(run.manifest.dataset.images))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in source.iterdir():
        (elsewhere / path.name).symlink_to(path)
    missing = sorted(elsewhere.iterdir())[0]
    missing.unlink()
    engine = OnRay(workers=2, images=elsewhere.as_uri(), parts=(tmp_path / "out").as_uri())
    audited(run, engine, limit=12)
    assert run.parts() == []
    rows = pd.concat(pq.read_table(part).to_pandas() for part in (tmp_path / "out" / "audit").iterdir())
    wanted = local[0].set_index("image")
    assert sorted(rows["image"]) == sorted(engine.held(run)) and len(rows) == 12
    for row in rows.itertuples():
        if row.image == missing.name:
            assert row.reason == "missing file"
        else:
            assert row.predicted == wanted.loc[row.image, "predicted"]
    thumbs = pd.concat(pq.read_table(part).to_pandas() for part in (tmp_path / "out" / "thumbs").iterdir())
    assert set(thumbs["image"]) <= set(rows["image"]) and len(thumbs)


def test_a_file_by_url_appears_whole(tmp_path: Path) -> None:
    stored(f"{tmp_path.as_uri()}/deep/er", "a.parquet", b"content")
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a.parquet"]
    assert opened(str(tmp_path))[1] == str(tmp_path)
    with pytest.raises(DatasetError, match="no URL that can be read"):
        opened("gopher://there/pictures")


def test_a_cluster_that_does_not_answer_is_said_in_words(run: Run, tmp_path: Path) -> None:
    """In a process of its own: this one is connected already."""
    command = [sys.executable, "-m", "whalecam", "audit", str(run.path), "--engine", "ray", "--address", "127.0.0.1:1"]
    run.clear_audit()
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 2 and "no Ray cluster" in told.stderr and "Traceback" not in told.stderr
    assert json.loads((run.path / "run.json").read_text())["classes"]


def test_an_engine_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    run.clear_audit()
    with pytest.raises(RunError, match=r"requirements-ray\.txt"):
        audited(run, OnRay())
