"""Remedies one after the other: a training, then another last layer."""

import hashlib
import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from tests.commandline import whalecam
from whalecam import network, remedies
from whalecam.analysis.recommendation import remedy_words
from whalecam.audit import run_audit
from whalecam.config import PROBE, TrainOptions, clash_of, mending_of, parts_of
from whalecam.data import geometry, inspect_images, open_dataset, read_sample
from whalecam.demo.planted import Planted
from whalecam.errors import DatasetError
from whalecam.explain import cam
from whalecam.remedies.simulation import source_of
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.words import Words


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        ("none", ""),
        ("head", ""),
        ("shuffle+head", ""),
        ("restrict+project", ""),
        ("crop+head", ""),
        ("crop+shuffle", "both train the network"),
        ("crop+shuffle+head", "both train the network"),
        ("head+project", "what one removes the other may bring back"),
        ("head+shuffle", "Write shuffle+head"),
        ("none+head", "Leave it out"),
        ("head+head", "both set the last layer"),
        ("crop+pray", "no remedy 'pray'"),
        ("", "no remedy ''"),
    ],
)
def test_what_can_follow_what(remedy: str, words: str) -> None:
    clash = clash_of(remedy)
    assert words in clash and bool(clash) == bool(words)
    done = whalecam("retrain", "nowhere", "--remedy", remedy, "--out", "nowhere-else")
    assert done.returncode == 2 and (clash in done.stderr if clash else "not a run folder" in done.stderr), done.stderr


def test_what_a_combination_is_called() -> None:
    assert parts_of("crop+head") == ("crop", "head") and mending_of("crop+head") == "crop"
    assert mending_of("shuffle+head") == mending_of("head") == ""
    said = remedy_words("shuffle+head", Words())
    assert said.startswith("train with backgrounds exchanged between the labels, then fit the last layer again")


@pytest.fixture(scope="module")
def leaky(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A linear probe that learnt the colour of the water; it was not audited, but its masks are known."""
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    run = create_run(tmp_path_factory.mktemp("leaky") / "run", DatasetRecord.of(data))
    remedies.train(data, run, TrainOptions(arch="efficientnet_lite0_fine", recipe=PROBE, size=64, split="random"))
    run.update(audit={"masks": str(planted.leaky / "masks")})
    return run


def digest(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def made_by(remedy: str, leaky: Run, path: Path) -> Run:
    data = inspect_images(run_audit.open_data(leaky))
    options = TrainOptions.stored({**leaky.manifest.train, **leaky.manifest.audit, "remedy": remedy})
    run = create_run(path, DatasetRecord.of(data))
    remedies.apply(data, run, leaky, options)
    return open_run(run.path)


def largest_error(run: Run) -> float:
    """The completeness error of the maps of its images, logits."""
    model, good = network.from_spec(run.manifest.network, run.load_checkpoint()), run_audit.open_data(run).good()
    pixels = [read_sample(Path(path), path).pixels for path in good["path"].tolist()[:8]]
    inputs = np.stack([geometry.to_input(values, model.size, model.resize) for values in pixels])
    return float(cam.explain(model.head, model.look(inputs)).completeness_error.max())


def test_a_training_then_another_last_layer(leaky: Run, planted: Planted, tmp_path: Path) -> None:
    source, parent = digest(planted.leaky), digest(leaky.path)
    alone, both = (made_by(remedy, leaky, tmp_path / remedy) for remedy in ("shuffle", "shuffle+head"))
    assert (digest(planted.leaky), digest(leaky.path)) == (source, parent)
    assert both.manifest.train["remedy"] == "shuffle+head" == both.metrics()["remedy"]["name"]
    assert both.metrics()["remedy"]["training"] == alone.metrics()["remedy"]
    before, after = alone.load_checkpoint(), both.load_checkpoint()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"head.4.weight", "head.4.bias"}, "the body and the norms are those of the training"
    assert both.training_images() == alone.training_images() == leaky.training_images()
    assert both.manifest.exactness == "exact" and largest_error(both) < 1e-4


def test_after_mending_the_last_layer_sees_mended_images(leaky: Run, tmp_path: Path) -> None:
    run = made_by("neutral+project", leaky, tmp_path / "run")
    assert Path(run.manifest.dataset.csv).is_relative_to(run.path)
    assert run.manifest.train["masks"] == leaky.manifest.audit["masks"], "those of the source, for its simulation"
    assert source_of(run).trained == "neutral"
    assert (
        cast("list[dict[str, int]]", run.metrics()["remedy"]["networks"])[0]["images"] == 96
        and largest_error(run) < 1e-4
    )
    refused = whalecam("retrain", run.path, "--remedy", "head", "--out", tmp_path / "never")
    assert refused.returncode == 2 and "trained on mended images" in refused.stderr


def test_a_clash_is_refused_before_anything_is_trained(leaky: Run, tmp_path: Path) -> None:
    data = run_audit.open_data(leaky)
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    with pytest.raises(DatasetError, match="both train the network"):
        remedies.apply(data, run, leaky, TrainOptions(remedy="crop+shuffle"))
    assert not open_run(run.path).trained


def test_a_combination_on_the_command_line_is_audited_by_its_own_masks(leaky: Run, tmp_path: Path) -> None:
    words = ("--remedy", "crop+head", "--out", tmp_path / "both", "--json")
    done = whalecam("retrain", leaky.path, *words)
    assert done.returncode == 0, done.stderr
    both = open_run(tmp_path / "both")
    assert json.loads(done.stdout)["remedy"] == "crop+head" == both.manifest.train["remedy"]
    assert both.manifest.audit["masks"] == str(both.remedied / "masks") and len(both.audited()) == 120
