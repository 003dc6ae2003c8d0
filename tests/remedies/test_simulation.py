"""Remedies simulated on the present network: planted leaks, and the demo run's own figures again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.commandline import whalecam
from whalecam import remedies
from whalecam.analysis.recommendation import Simulation, cell, measured_of, simulation_of
from whalecam.arrays import Mask, Sample
from whalecam.cli.summaries import retraining_lines
from whalecam.config import TrainOptions
from whalecam.data import open_dataset
from whalecam.demo.planted import Planted
from whalecam.errors import RunError
from whalecam.remedies.simulation import exchanged, simulate, source_of
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.table import unseen_odds


def test_exchanging_the_water_keeps_the_animal_and_leaves_nothing_of_its_own() -> None:
    rng = np.random.default_rng(0)
    pixels, mask = rng.integers(0, 256, (60, 90, 3)).astype(np.uint8), np.zeros((60, 90), np.float32)
    mask[20:40, 30:70] = 1
    found = exchanged(Sample("a", pixels), Mask(mask, 1, "given"), np.full((16, 16, 3), (1, 2, 3), np.uint8))
    assert (found.pixels[mask == 0] == (1, 2, 3)).all()
    assert (found.pixels[24:36, 34:66] == pixels[24:36, 34:66]).all()


@pytest.fixture(scope="module")
def leaky(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A network that learnt the colour of the water."""
    folder = tmp_path_factory.mktemp("leaky")
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    run = create_run(folder / "run", DatasetRecord.of(data))
    options = TrainOptions(arch="efficientnet_lite0_fine", epochs=5, lr=1e-2, size=64, batch=16, split="random")
    remedies.train(data, run, options)
    run.update(audit={"masks": str(planted.leaky / "masks")})
    return run


@pytest.fixture(scope="module")
def simulated(leaky: Run) -> Simulation:
    """All remedies on that network."""
    return simulate(leaky)


def test_a_network_that_reads_the_water_loses_it_on_other_water(leaky: Run, simulated: Simulation) -> None:
    found = simulated
    present, neutral = found["figures"]["present"]["all"], found["figures"]["neutral"]["all"]
    assert found["pictures"] == present["n"] == 24 and found["without_mask"] == 0
    assert set(found["own"]) == set(open_dataset(Path(leaky.manifest.dataset.csv), None).table["image"]) - (
        leaky.training_images()
    )
    assert present["own"][0] > 0.85 and present["water_cost"][1] > 0.2
    # What was right by the water alone is right no more without it.
    assert neutral["own_gain"][2] < 0
    # One colour everywhere: whose water it was makes no difference any more.
    assert abs(neutral["own"][0] - neutral["unseen"][0]) < 0.1
    assert simulation_of(leaky) == json.loads((leaky.path / "simulation.json").read_text()) == found


def test_a_run_on_mended_pictures_is_judged_on_the_source_mended_alike(
    leaky: Run, simulated: Simulation, tmp_path: Path
) -> None:
    source = source_of(leaky)
    run = create_run(tmp_path / "mended", leaky.manifest.dataset)
    masks = leaky.manifest.audit["masks"]
    remedies.train(source.data, run, replace(TrainOptions.stored(leaky.manifest.train), remedy="neutral", masks=masks))
    origin = source_of(open_run(run.path))
    assert origin.trained == "neutral" and origin.data.csv == source.data.csv
    found = simulate(open_run(run.path))
    assert set(found["figures"]) == {"present"} and set(found["own"]) == set(simulated["own"])
    assert abs(found["figures"]["present"]["all"]["water_cost"][0]) < 0.1
    assert found["source"] == simulated["source"]


def test_the_present_network_is_right_where_the_audit_says_so(runs: Path) -> None:
    run = open_run(runs / "demo")
    found = simulate(run, wanted=(), limit=50)
    odds, table = (
        unseen_odds(run.parts(), run.manifest.classes),
        open_dataset(Path(run.manifest.dataset.csv), None).table,
    )
    label = table.drop_duplicates("image").set_index("image")["label"]
    right = (odds.idxmax(axis=1) == label.loc[odds.index]).astype(float)
    assert len(found["own"]) > 10 and set(found["own"]) <= set(odds.index)
    # Audits may compute in bfloat16, where a tie can fall the other way.
    assert np.mean([right[image] == value for image, value in found["own"].items()]) > 0.95


def test_what_cannot_be_simulated_is_said(runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "demo")
    with pytest.raises(RunError, match="no trained network"):
        simulate(create_run(tmp_path / "new", run.manifest.dataset))
    everything = pd.read_csv(run.manifest.dataset.csv)["image"].tolist()
    (run.path / "model" / "fold-0.json").write_text(json.dumps({"training": everything}))
    with pytest.raises(RunError, match="seen every image"):
        simulate(run)


def test_no_mask_nothing_to_simulate(runs: Path, tmp_path: Path) -> None:
    run, grey = open_run(runs / "demo"), tmp_path / "grey"
    grey.mkdir()
    for name in pd.read_csv(run.manifest.dataset.csv)["image"]:
        Image.new("RGB", (40, 30), (90, 90, 90)).save(grey / name)
    run.update(audit={}, dataset=replace(run.manifest.dataset, images=str(grey)))
    with pytest.raises(RunError, match="No image has a mask"):
        simulate(run, limit=20)


def test_simulate_and_retrain_on_the_command_line(leaky: Run, simulated: Simulation, tmp_path: Path) -> None:
    done = whalecam("simulate", leaky.path, "--remedy", "neutral", "--limit", "10", "--json")
    facts = json.loads(done.stdout)
    assert set(facts["figures"]) == {"present", "neutral"} and facts["pictures"] == 10
    text = whalecam("simulate", leaky.path).stdout
    kept = simulation_of(leaky)
    assert kept is not None
    assert {**kept, "created": ""} == {**simulated, "created": ""}, "asked again, it finds the same"
    figures = kept["figures"]
    assert "What to do" not in text, "nothing is audited, so nothing is known of the leaks"
    for name, told in (("as it is", "present"), ("crop", "crop"), ("neutral background", "neutral")):
        line = next(line for line in text.splitlines() if line.strip().startswith(name))
        assert f"  {cell(figures[told]['all']['unseen'], 'unseen')}  " in line
    assert cell(figures["crop"]["all"]["unseen_gain"], "unseen_gain") in text
    done = whalecam("retrain", leaky.path, "--remedy", "shuffle", "--out", tmp_path / "better", "--json")
    assert done.returncode == 0, done.stderr
    better = open_run(tmp_path / "better")
    assert better.manifest.train["remedy"] == "shuffle" and len(better.audited()) == 120
    assert better.training_images() == leaky.training_images(), "the same images judge both"
    known = simulation_of(better)
    assert known is not None
    facts = json.loads(done.stdout)
    assert facts["swapped_accuracy"] == known["figures"]["present"]["all"]["unseen"]
    measured = measured_of(leaky, [better])[0]
    assert facts["measured"][0]["unseen"] == measured.unseen._asdict() and measured.helped
    said = list(retraining_lines(leaky, better, known))
    assert said[0].startswith("Run better: trained with shuffle (train with backgrounds exchanged")
    assert said[1].startswith("The new network on 24 images") and "Gain" not in said[2], "nothing else was simulated"
    assert f"Against run, on the same images: {measured.changed}." in said
    assert said[-1] == f"Next: python -m whalecam compare {leaky.path} {better.path}"
    for words, arguments in {
        "a run in": ("retrain", leaky.path, "--remedy", "shuffle", "--out", tmp_path / "better"),
        "not a run folder": ("simulate", tmp_path),
    }.items():
        failed = whalecam(*arguments)
        assert failed.returncode == 2 and words in failed.stderr and len(failed.stderr.strip().splitlines()) == 1
