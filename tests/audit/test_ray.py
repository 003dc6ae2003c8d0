"""The audit on a local Ray of two workers: the same table as the local engine's, whatever happens to a worker."""

import json
import os
import signal
import socket
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
from moto.server import ThreadedMotoServer
from pyarrow import fs

from tests.copies import copied
from whalecam.audit import run_audit
from whalecam.audit.engines.ray import OnRay, fetch, opened, stored
from whalecam.config import AuditOptions, Thresholds
from whalecam.errors import DatasetError, RunError
from whalecam.store.run import Run, open_run
from whalecam.store.table import Table
from whalecam.store.thumbnails import thumbnail_of

EXACT = ["image", "label", "fold", "predicted", "assessment", "reason", "mask_source", "reliance_on", "map_height"]
CLOSE = [
    "confidence",
    "loss",
    "background_share",
    "floor",
    "chance",
    "attention_score",
    "reliance",
    "reliance_swap",
    "bg_gap",
    "mask_agreement",
]


@pytest.fixture
def run(runs: Path) -> Run:
    """Trained, and not audited."""
    run = open_run(runs / "demo")
    run.clear_audit()
    return run


def rows_of(run: Run) -> tuple[pd.DataFrame, dict[str, Any]]:
    table = Table(run.parts(), Thresholds())
    rows = table.all_rows()
    return rows, table.overlays_of(rows["image"].tolist())


def audited(run: Run, engine: Any, **changes: Any) -> None:
    stored = {**vars(AuditOptions.stored(run.manifest.audit)), "limit": 24, "batch": 2, "donors": 2, **changes}
    run_audit.run_audit(run, run_audit.open_data(run), AuditOptions(**stored), engine=engine)


def workers() -> list[int]:
    """Process ids of Ray's actors that explain, of this test's own Ray alone."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"MapWorker" in place.read_bytes() and os.getpid() in ancestors(int(place.parent.name)):
                found.append(int(place.parent.name))
    return found


def ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        pid = int(status.split("PPid:")[1].split()[0])
        yield pid


def assert_alike(one: Run, other: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    rows, overlays = rows_of(one)
    wanted, shown = other
    pd.testing.assert_frame_equal(rows[EXACT], wanted[EXACT])
    np.testing.assert_allclose(rows[CLOSE].to_numpy(float), wanted[CLOSE].to_numpy(float), atol=1e-3)
    for image, overlay in shown.items():
        assert overlay.mask_bits == overlays[image].mask_bits
        if overlay.maps is not None:
            np.testing.assert_allclose(overlays[image].maps, overlay.maps, atol=1e-3)
        assert (thumbnail_of(one, image) is not None) == (overlay.maps is not None)


@pytest.fixture(scope="module")
def local(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What the local engine says."""
    run = open_run(copied(prepared / "runs" / "demo", tmp_path_factory.mktemp("local") / "demo"))
    run.clear_audit()
    audited(run, run_audit.LOCAL)
    return rows_of(run)


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
    audited(run, run_audit.LOCAL, limit=8)
    before = run.parts()
    audited(run, OnRay(workers=1))
    assert set(before) < set(run.parts())
    assert_alike(run, local)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The options, after `s3://bucket/…`, of an S3 server on this machine; the bucket is there and empty."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ACCESS_KEY_ID": "id",
            "SECRET_ACCESS_KEY": "secret",
            "EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(f"AWS_{name}", value)  # Ray starts its workers with the environment it finds
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        options = f"?scheme=http&region=us-east-1&endpoint_override={':'.join(map(str, server.get_host_and_port()))}"
        store, _ = opened(f"s3://bucket{options}&allow_bucket_creation=true")
        store.create_dir("bucket")
        yield options
        server.stop()


@pytest.fixture(scope="module", autouse=True)
def ray_of_two(bucket: str) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    yield
    ray.shutdown()


def parquet(url: str) -> pd.DataFrame:
    store, home = opened(url)
    parts = store.get_file_info(fs.FileSelector(home))
    assert parts and not [part.path for part in parts if not part.path.endswith(".parquet")]
    frame: pd.DataFrame = pd.concat(pq.read_table(part.path, filesystem=store).to_pandas() for part in parts)
    return frame


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_workers_read_and_write_by_url(run: Run, local: Any, tmp_path: Path, bucket: str, kind: str) -> None:
    """The workers see the images in another place, and write their rows where the driver never looks."""
    source = Path(str(run.manifest.dataset.images))
    place, options = {"file": (tmp_path.as_uri(), ""), "s3": ("s3://bucket", bucket)}[kind]
    missing, *others = sorted(local[0]["image"])[:12]
    for name in others:
        stored(f"{place}/elsewhere{options}", name, (source / name).read_bytes())
    engine = OnRay(workers=1, images=f"{place}/elsewhere{options}", parts=f"{place}/out{options}")
    audited(run, engine, limit=12)
    assert run.parts() == []
    rows = parquet(f"{place}/out/audit{options}").set_index("image").sort_index()
    assert sorted(rows.index) == sorted(engine.audited(run)) == [missing, *others]
    assert rows.loc[missing, "reason"] == "missing file"
    wanted = local[0].set_index("image").loc[others]
    assert rows.loc[others, "predicted"].tolist() == wanted["predicted"].tolist()
    np.testing.assert_allclose(rows.loc[others, "loss"], wanted["loss"], atol=1e-3)
    thumbs = parquet(f"{place}/out/thumbs{options}")
    assert len(thumbs) and set(thumbs["image"]) <= set(others) and thumbs["thumb"].map(bool).all()


def test_a_store_that_does_not_answer_makes_no_picture_missing(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        url = f"s3://bucket?scheme=http&region=us-east-1&endpoint_override=127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DatasetError, match=r"'a\.jpg' cannot be read from 's3://bucket"):
            fetch(url, "a.jpg", tmp_path / "a.jpg")
        with pytest.raises(RunError, match=r"A worker gave up: '.*' cannot be read"):
            audited(run, OnRay(workers=1, images=url), limit=1)
    assert not run.parts()
    fetch(tmp_path.as_uri(), "none.jpg", tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()


def test_a_file_by_url_appears_whole(tmp_path: Path) -> None:
    stored(f"{tmp_path.as_uri()}/deep", "er/a.parquet", b"content")
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a.parquet"]
    assert opened(str(tmp_path))[1] == str(tmp_path)
    with pytest.raises(DatasetError, match="no URL that can be read"):
        opened("gopher://there/pictures")


def test_a_cluster_that_does_not_answer_is_said_in_words(run: Run, tmp_path: Path) -> None:
    """In a process of its own: this one is connected already."""
    command = [sys.executable, "-m", "whalecam", "audit", str(run.path), "--engine", "ray", "--address", "127.0.0.1:1"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 2 and "no Ray cluster" in told.stderr and "Traceback" not in told.stderr
    assert json.loads((run.path / "run.json").read_text())["classes"]


def test_an_engine_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"pip install 'whalecam\[ray\]'"):
        audited(run, OnRay())
