"""A labels map is part of a run: what was trained with it is audited, simulated and shown with it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import whalecam as wc
from tests import tiny
from tests.commandline import whalecam
from whalecam.audit import run_audit
from whalecam.data import open_dataset, with_merges
from whalecam.errors import RunError
from whalecam.remedies.export_dataset import mend, record_in
from whalecam.remedies.simulation import source_of
from whalecam.store.manifest import DatasetRecord, Manifest
from whalecam.store.open_table import open_table
from whalecam.store.run import create_run, manifest_in, open_run

QUICK = ("--arch", "resnet18", "--no-pretrained", "--recipe", "linear-probe", "--size", 32, "--split", "random")
MERGES = {"orka": "orca"}


@pytest.fixture
def misspelt(tmp_path: Path) -> tuple[Path, Path]:
    csv, images = tiny.draw(tmp_path, images=12)
    csv.write_text(csv.read_text().replace("3.png,orca", "3.png,orka"))
    return csv, images


def test_what_is_trained_with_a_labels_map_is_audited_with_it(misspelt: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("old,new\norka,orca\n")
    train = ("train", *misspelt, "--run", tmp_path / "run", *QUICK)
    done = whalecam(*train, "--labels-map", tmp_path / "map.csv")
    assert done.returncode == 0, done.stderr
    run = open_run(tmp_path / "run")
    assert run.manifest.classes == tiny.LABELS and run.manifest.dataset.merges == MERGES
    data = run_audit.open_data(run)
    assert data.classes() == tiny.LABELS and "Labels are merged: orka → orca." in data.notes
    assert whalecam("audit", run.path, "--background-test", "none").returncode == 0
    rows = open_table(open_run(run.path)).all_rows().set_index("image")
    assert rows.loc["3.png", "label"] == "orca" and rows["correct"].notna().all()
    assert "orka" in misspelt[0].read_text(), "the source stays as it is"
    failed = whalecam(*train, "--min-per-class", 100)
    assert failed.returncode == 2 and open_run(run.path).manifest.dataset.merges == MERGES, "its network is of these"
    assert whalecam(*train).returncode == 0
    assert open_run(run.path).manifest.classes == ("beluga", "orca", "orka"), "without the map, as the table has them"


def test_until_a_training_has_ended_the_run_is_of_the_data_of_its_network(
    misspelt: tuple[Path, Path], tmp_path: Path
) -> None:
    """Whatever ends the process meanwhile, kill -9 too: what stands in the file is what the next one opens."""
    data, path, seen = open_dataset(*misspelt), tmp_path / "run", list[Manifest]()
    options: dict[str, Any] = {"arch": "resnet18", "pretrained": False, "size": 32, "split": "random", "epochs": 1}
    before = wc.train(data, path, **options).manifest
    merged = with_merges(data, MERGES)
    wc.train(merged, path, report=lambda _: seen.append(open_run(path).manifest), remedy="shuffle", **options)
    assert len(seen) > 2 and all(manifest == before for manifest in seen)
    after = open_run(path).manifest
    assert after.dataset.merges == MERGES and after.classes == tiny.LABELS and after.model_sha256 != before.model_sha256


def test_a_mended_data_set_says_from_which_labels_it_was_made(misspelt: tuple[Path, Path], tmp_path: Path) -> None:
    data = with_merges(open_dataset(*misspelt), MERGES)
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    none: dict[str, Any] = {"provenance": {"run": run.name}, "remedy": "relabel", "out": run.remedied}
    mend(data, lambda sample: None, pd.DataFrame(columns=["image"]), **none)
    assert json.loads(record_in(run.remedied).read_text())["merges"] == MERGES
    run.update(train={"remedy": "crop"})
    assert source_of(run).data.classes() == tiny.LABELS


def test_maps_follow_one_another_and_one_that_changes_nothing_is_none(misspelt: tuple[Path, Path]) -> None:
    data = open_dataset(*misspelt)
    assert with_merges(data, {}) is data and with_merges(data, {"orca": "orca"}) is data
    twice = with_merges(with_merges(data, MERGES), {"orca": "killer_whale"})
    assert twice.merges == {"orka": "killer_whale", "orca": "killer_whale"}
    assert twice.classes() == ("beluga", "killer_whale")


def test_only_a_run_with_a_labels_map_has_one_in_its_file(misspelt: tuple[Path, Path], tmp_path: Path) -> None:
    """An earlier version refuses a run that it would read under other labels, and opens all others."""
    data = open_dataset(*misspelt)
    plain = create_run(tmp_path / "plain", DatasetRecord.of(data))
    assert "merges" not in json.loads(manifest_in(plain.path).read_text())["dataset"]
    merged = create_run(tmp_path / "merged", DatasetRecord.of(with_merges(data, MERGES)))
    content = json.loads(manifest_in(merged.path).read_text())
    assert content["dataset"]["merges"] == MERGES
    content["dataset"]["merges"] = ["orka"]
    manifest_in(merged.path).write_text(json.dumps(content))
    with pytest.raises(RunError, match="no labels map"):
        open_run(merged.path)
