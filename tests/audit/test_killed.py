"""An audit that is killed at any moment loses no row and doubles none."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.audit import prepare
from tests.commandline import whalecam
from whalecam.config import Thresholds
from whalecam.store.run import Run, open_run
from whalecam.store.table import NO_REVIEWS, Table
from whalecam.store.thumbnails import thumbnail_of

EXACT = [
    "image",
    "label",
    "predicted",
    "attention_score",
    "background_share",
    "loss",
    "assessment",
    "reason",
    "mask_source",
    "peak",
]


def rows_of(run: Run) -> pd.DataFrame:
    table = Table(run.parts(), Thresholds(), NO_REVIEWS)
    assert table.count() == len(set(table.all_rows()["image"]))
    return table.all_rows()[EXACT]


def thumbs_of(run: Run) -> dict[str, bytes | None]:
    return {image: thumbnail_of(run, image) for image in sorted(run.audited())}


def kill_at_random(command: list[str], chance: random.Random, images: int) -> bool:
    """Start, wait for some image and then a moment, and kill; whether it was still at work."""
    wanted = chance.randrange(images // 2)
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"WHALECAM_PROGRESS": "json"},
    )
    assert child.stderr is not None
    for line in child.stderr:
        step = json.loads(line) if line.startswith("{") else {}
        if step.get("stage") == "audit" and step["done"] >= wanted:
            break
    time.sleep(chance.uniform(0, 0.2))
    working = child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return working


def survives(folder: Path, images: int, kills: int) -> int:
    """How many kills met an audit at work, of so many wanted; the table must be that of an unbroken run.

    An audit that ended before its kill is held against the unbroken one and started anew.
    """
    run, chance = prepare(folder, images, scenes=8), random.Random(0)
    words = ["audit", str(run.path), "--masks", str(folder / "masks"), "--needs", "none", "--batch", "8"]
    command = [sys.executable, "-m", "whalecam", *words]
    assert whalecam(*words).returncode == 0
    whole, thumbs, met = rows_of(open_run(run.path)), thumbs_of(run), 0
    assert None not in thumbs.values()
    run.clear_audit()
    for _ in range(3 * kills):
        if met == kills:
            break
        if kill_at_random(command, chance, images):
            met += 1
            continue
        compare(run, whole, thumbs)
        run.clear_audit()
    assert whalecam(*words).returncode == 0
    compare(run, whole, thumbs)
    return met


def compare(run: Run, whole: pd.DataFrame, thumbs: dict[str, bytes | None]) -> None:
    pd.testing.assert_frame_equal(rows_of(open_run(run.path)), whole, check_exact=False, rtol=1e-3, atol=1e-4)
    assert thumbs_of(run) == thumbs
    assert not list(run.path.glob("*/*.writing"))


def test_two_kills(tmp_path: Path) -> None:
    assert survives(tmp_path, 160, 2) == 2


@pytest.mark.slow
def test_twenty_kills_of_two_thousand_pictures(tmp_path: Path) -> None:
    assert survives(tmp_path, 2000, 20) == 20
