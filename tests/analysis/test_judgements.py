"""What a network says of labels: planted mistakes are found, right ones are left alone, confused pairs are named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.analysis.test_shortcuts import data_of
from whalecam.analysis.findings import Evidence, Finding, find
from whalecam.analysis.findings.label_doubts import doubtful, judgements
from whalecam.data import open_dataset
from whalecam.store.run import open_run
from whalecam.store.table import unseen_odds

CLASSES = ["beluga", "humpback", "orca"]


def odds_of(codes: np.ndarray, surety: float = 3.0, seed: int = 0) -> pd.DataFrame:
    """A network that is right on nearly all: softmax of noise, raised at the true class."""
    scores = np.random.default_rng(seed).normal(size=(len(codes), 3))
    scores[np.arange(len(codes)), codes] += surety
    odds = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    names = [f"{number:05d}.jpg" for number in range(len(codes))]
    return pd.DataFrame(odds, pd.Index(names, name="image"), CLASSES)


def found(species: list[str], odds: pd.DataFrame) -> dict[str, Finding]:
    return {finding.key: finding for finding in judgements(Evidence(data_of(species), odds=odds))}


TRUE = np.arange(300) % 3


def test_wrong_labels_are_found_and_right_ones_left_alone() -> None:
    wrong = np.arange(0, 300, 20)
    told = TRUE.copy()
    told[wrong] = (told[wrong] + 1) % 3
    rows = found([CLASSES[code] for code in told], odds_of(TRUE, 4.0))["label_error"].rows
    listed = {int(name[:5]) for name in rows["image"]}
    hits = listed & set(wrong.tolist())
    assert len(hits) >= 0.9 * len(wrong) and len(hits) >= 0.8 * len(listed)
    right = rows[rows["image"].isin([f"{number:05d}.jpg" for number in hits])]
    assert (right["suggested_label"] == [CLASSES[TRUE[int(name[:5])]] for name in right["image"]]).mean() > 0.9
    assert rows["p_suggested"].ge(rows["p_label"]).all()


def test_right_labels_and_a_good_network_yield_nothing() -> None:
    assert found([CLASSES[code] for code in TRUE], odds_of(TRUE, 12.0)) == {}


def test_the_doubtful_are_those_of_cleanlab() -> None:
    """Its two rules, each asked for itself."""
    from cleanlab.filter import find_label_issues

    told = TRUE.copy()
    told[::15] = (told[::15] + 1) % 3
    odds = odds_of(TRUE).to_numpy()
    rules = (
        find_label_issues(told, odds, filter_by=rule, n_jobs=1) for rule in ("prune_by_class", "prune_by_noise_rate")
    )
    assert sorted(doubtful(odds, told).tolist()) == np.flatnonzero(np.logical_and(*rules)).tolist()


def test_confused_species_are_named_counted_slowly() -> None:
    said = TRUE.copy()
    said[(TRUE == 2) & (np.arange(300) % 2 == 0)] = 1  # half the orcas go to humpback
    odds = odds_of(said, 12.0)
    pair = found([CLASSES[code] for code in TRUE], odds)["confused|humpback|orca"]
    slow = [row for row in range(300) if {TRUE[row], said[row]} == {1, 2}]
    assert pair.rows["image"].tolist() == [f"{row:05d}.jpg" for row in slow]
    assert pair.facts == {"images": len(slow), "of": 200}


@pytest.mark.parametrize("odds", [None, pd.DataFrame(columns=CLASSES, dtype=float)])
def test_nothing_before_an_audit(odds: pd.DataFrame | None) -> None:
    assert judgements(Evidence(data_of(["orca"] * 20), odds=odds)) == []


def test_unknown_labels_and_rare_ones_are_passed_over() -> None:
    species = [CLASSES[code] for code in TRUE]
    species[:3], species[3:9] = ["narwhal"] * 3, ["orca"] * 6
    odds = odds_of(TRUE, 12.0)
    assert "00000.jpg" not in str([finding.rows.to_dict() for finding in found(species, odds).values()])
    assert found(["orca"] * 300, odds) == {}


def test_odds_of_a_run_are_those_of_unseen_pictures_and_add_up(prepared: Path) -> None:
    run = open_run(prepared / "runs" / "demo")
    odds = unseen_odds(run.parts(), run.manifest.classes)
    seen = run.training_images()
    assert len(odds) and not seen & set(odds.index) and list(odds.columns) == list(run.manifest.classes)
    np.testing.assert_allclose(odds.sum(axis=1), 1, rtol=1e-6)
    import pyarrow.parquet as pq

    rows = pd.concat(
        [pq.read_table(part, columns=["image", "predicted", "confidence"]).to_pandas() for part in run.parts()]
    )
    known = rows.set_index("image").loc[odds.index]
    assert odds.idxmax(axis=1).tolist() == known["predicted"].tolist()
    np.testing.assert_allclose(odds.max(axis=1), known["confidence"], atol=1e-4)


def test_a_run_without_an_audit_has_no_odds() -> None:
    assert unseen_odds([], CLASSES).shape == (0, 3)


def test_findings_of_a_real_run_go_through(prepared: Path) -> None:
    run = open_run(prepared / "runs" / "demo")
    data = open_dataset(prepared / "pictures" / "train.csv", prepared / "pictures" / "images")
    odds = unseen_odds(run.parts(), run.manifest.classes)
    codes = {finding.code for finding in find(Evidence(data, odds=odds))}
    assert codes >= {"look_alike", "unusable"}
