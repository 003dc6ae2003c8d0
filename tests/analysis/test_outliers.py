"""Images that are none of the set: drawings with known answers, and the peers' own numbers."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cleanlab.outlier import OutOfDistribution
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor

from tests.analysis.test_shortcuts import data_of
from whalecam.analysis.findings import Evidence, find
from whalecam.analysis.findings.outliers import CHUNK, FAR, distances, outliers
from whalecam.store.run import open_run
from whalecam.store.table import embeddings


def photographs(n: int = 200, k: int = 24, seed: int = 0) -> NDArray[np.float32]:
    """Four species: overlapping clouds of decreasing width per channel."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(4, k))
    return (middles[np.arange(n) % 4] + rng.normal(size=(n, k)) * 1.5).astype(np.float32)


def vectors_of(values: NDArray[np.float32], folds: NDArray[np.int64] | None = None) -> pd.DataFrame:
    names = [f"{at:05d}.jpg" for at in range(len(values))]
    folds = np.zeros(len(values), int) if folds is None else folds
    frame = pd.DataFrame({"image": names, "label": "orca", "predicted": "orca", "fold": folds, "in_training": False})
    return frame.assign(embedding=list(values))


def evidence_of(vectors: pd.DataFrame) -> Evidence:
    return Evidence(data_of(["orca"] * len(vectors)), vectors=vectors)


def test_distance_is_the_mean_to_the_nearest_quarter_asked_slowly() -> None:
    values = photographs(60)
    slow = []
    for one in values.astype(float):
        away = sorted(float(np.sqrt(((one - other) ** 2).sum())) for other in values.astype(float))
        slow.append(sum(away[:16]) / 16)
    np.testing.assert_allclose(distances(values), np.array(slow) / np.median(slow), rtol=1e-6)


def test_a_group_of_text_pages_is_found_where_the_peers_own_settings_miss_it() -> None:
    values = photographs()
    rng = np.random.default_rng(3)
    pages = rng.choice(200, 16, replace=False)
    direction = rng.normal(size=values.shape[1])
    values[pages] = 30 * direction / np.linalg.norm(direction) + rng.normal(size=(16, values.shape[1])) * 0.3
    (finding,) = outliers(evidence_of(vectors_of(values)))
    assert set(finding.rows["image"]) == {f"{at:05d}.jpg" for at in pages}
    assert finding.facts == {"images": 16, "of": 200} and finding.severity == "low"
    usual = OutOfDistribution().fit_score(features=values.astype(float), verbose=False)
    assert not set(np.argsort(usual)[:16]) & set(pages)  # ten neighbours by cosine: the pages have one another


def test_single_outliers_are_those_of_the_local_outlier_factor() -> None:
    values = photographs()
    odd = [7, 50, 120]
    for at, channel in zip(odd, (0, 5, 9), strict=True):
        values[at, channel] += 25
    peer = LocalOutlierFactor(n_neighbors=50).fit(values.astype(float)).negative_outlier_factor_
    (finding,) = outliers(evidence_of(vectors_of(values)))
    assert (
        set(finding.rows["image"]) == {f"{at:05d}.jpg" for at in np.argsort(peer)[:3]} == {f"{i:05d}.jpg" for i in odd}
    )
    assert finding.rows["distance"].is_monotonic_decreasing and finding.rows["distance"].min() >= FAR


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(41, 400), st.integers(4, 64))
def test_a_set_without_faults_yields_nothing(seed: int, n: int, k: int) -> None:
    assert outliers(evidence_of(vectors_of(photographs(n, k + 16, seed)))) == []


def test_each_fold_is_held_against_itself() -> None:
    values, folds = photographs(160), np.repeat([0, 1], 80)
    values[folds == 1] += 40  # another network, another language
    assert outliers(evidence_of(vectors_of(values, folds))) == []
    values[5] *= 12
    (finding,) = outliers(evidence_of(vectors_of(values, folds)))
    assert finding.rows["image"].tolist() == ["00005.jpg"]


def test_what_was_trained_on_and_small_folds_are_not_judged() -> None:
    values = photographs(120)
    values[[3, 119]] *= 15
    frame = vectors_of(values, np.repeat([0, 1], [100, 20]))
    frame.loc[3, "in_training"] = True
    assert outliers(evidence_of(frame)) == []


def test_a_sample_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = photographs()
    (whole,) = outliers(evidence_of(vectors_of(np.vstack([values, values[:1] * 15]))))
    assert "sample" not in whole.sentence and "others were not" not in whole.sentence
    monkeypatch.setattr(sys.modules["whalecam.analysis.findings.outliers"], "MOST", 200)
    (checked,) = outliers(evidence_of(vectors_of(values)))
    assert checked.severity == "info" and "None of a sample of 200 images" in checked.sentence
    values[7] *= 15
    (found,) = outliers(evidence_of(vectors_of(values)))
    assert found.severity == "low" and found.sentence.startswith("1 of a sample of 200 images")
    assert found.sentence.endswith("The others were not looked at.")


@pytest.mark.parametrize("vectors", [None, vectors_of(photographs(4)).head(0)])
def test_nothing_before_an_audit(vectors: pd.DataFrame | None) -> None:
    assert outliers(Evidence(data_of(["orca"] * 5), vectors=vectors)) == []


def test_a_large_set_is_held_against_a_sample_of_it() -> None:
    values = photographs(5000)
    values[4321] *= 10
    found = distances(values)
    assert len(values) > 2 * CHUNK
    assert found.argmax() == 4321 and abs(np.median(found) - 1) < 1e-9 and np.delete(found, 4321).max() < FAR


def test_the_demo_has_none(prepared: Path) -> None:
    from whalecam.data import open_dataset

    data = open_dataset(prepared / "pictures" / "train.csv", prepared / "pictures" / "images")
    vectors = embeddings(open_run(prepared / "runs" / "demo").parts())
    assert len(vectors) and "outlier" not in {finding.code for finding in find(Evidence(data, vectors=vectors))}


def test_it_needs_no_network_library() -> None:
    import subprocess

    program = (
        "import sys, numpy as np; from whalecam.analysis.findings.outliers import distances;"
        "distances(np.random.default_rng(0).normal(size=(50, 4))); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
