"""Classes that are named in another order than the network's outputs are noticed, and others are not."""

import shutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

import whalecam as wc
from tests.commandline import whalecam
from tests.conftest import ROOT
from whalecam.analysis.class_order import MIN_AS_PROPOSED, ClassOrder, _best, _may_explain, proposed_order
from whalecam.audit import run_audit
from whalecam.config import AuditOptions
from whalecam.data import open_dataset
from whalecam.store.open_table import open_table
from whalecam.store.run import open_run

CLASSES = ("beluga", "fin_whale", "humpback", "orca", "sei_whale")


def frame(counts: NDArray[np.int64], classes: tuple[str, ...] = CLASSES) -> pd.DataFrame:
    rows = [
        {"label": label, "predicted": predicted, "images": int(counts[i, j])}
        for i, label in enumerate(classes)
        for j, predicted in enumerate(classes)
        if counts[i, j]
    ]
    return pd.DataFrame(rows, columns=["label", "predicted", "images"])


def confusion_of(outputs: tuple[int, ...], right: int = 18, wrong: int = 1) -> NDArray[np.int64]:
    """Counts of a good network: label i is found at output `outputs[i]`, a few images at each other one."""
    counts = np.full((len(outputs), len(outputs)), wrong, np.int64)
    counts[np.arange(len(outputs)), outputs] = right
    return counts


def found(counts: NDArray[np.int64]) -> ClassOrder:
    order = proposed_order(frame(counts), CLASSES)
    assert order is not None
    return order


def test_the_order_of_the_outputs_is_proposed() -> None:
    order = found(confusion_of((2, 0, 1, 4, 3)))
    assert order.classes == ("fin_whale", "humpback", "beluga", "sei_whale", "orca")
    assert (order.moved, order.images) == (5, 5 * 22)
    assert (order.accuracy_as_named, order.accuracy_as_proposed) == (1 / 22, 18 / 22)
    assert "fin_whale,humpback,beluga,sei_whale,orca" in order.sentence and "82\u00a0%" in order.sentence


def test_two_exchanged_names_among_right_ones_are_noticed() -> None:
    order = found(confusion_of((0, 3, 2, 1, 4)))
    assert order.classes == ("beluga", "orca", "humpback", "fin_whale", "sei_whale")
    assert order.moved == 2 and order.images == 44


@given(st.permutations(range(5)), st.integers(12, 40), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_every_order_of_a_good_network_is_found_and_the_right_one_is_left(
    outputs: list[int], right: int, wrong: int
) -> None:
    order = proposed_order(frame(confusion_of(tuple(outputs), right, wrong)), CLASSES)
    if outputs == sorted(outputs):
        assert order is None
    else:
        assert order is not None and [order.classes[at] for at in outputs] == list(CLASSES)


def test_thousands_of_classes_are_left_alone() -> None:
    names = tuple(f"whale {number}" for number in range(15_000))
    rows = pd.DataFrame({"label": names, "predicted": [*names[1:], names[0]], "images": 3})
    assert proposed_order(rows, names) is None and proposed_order(rows.head(0), names[:500]) is None


def silent(counts: NDArray[np.int64]) -> bool:
    return proposed_order(frame(counts), CLASSES) is None


def test_a_network_that_learned_nothing_is_not_explained_by_an_order() -> None:
    always_one = np.zeros((5, 5), np.int64)
    always_one[:, 2] = 30
    assert silent(always_one) and silent(np.full((5, 5), 6, np.int64))
    for seed in range(40):
        assert silent(np.random.default_rng(seed).multinomial(10, np.full(5, 0.2), 5)), seed


def test_classes_confused_one_way_or_half_are_no_order() -> None:
    one_way, half = confusion_of((0, 1, 2, 3, 4)), confusion_of((0, 1, 2, 3, 4))
    one_way[1], half[1], half[3] = [0, 0, 0, 22, 0], [0, 11, 0, 11, 0], [0, 11, 0, 11, 0]
    assert silent(one_way) and silent(half)


def test_few_images_and_nothing_say_nothing() -> None:
    assert silent(confusion_of((1, 0, 2, 3, 4), right=8, wrong=0) * np.eye(5, dtype=np.int64)[[1, 0, 2, 3, 4]])
    assert proposed_order(frame(np.zeros((5, 5), np.int64)), CLASSES) is None
    assert proposed_order(frame(confusion_of((1, 0))[:2, :2], ("a", "b")), CLASSES) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_best_order_is_that_of_all_orders(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, (5, 5))
    best = max(sum(counts[i, j] for i, j in enumerate(order)) for order in permutations(range(5)))
    assert sum(counts[i, j] for i, j in enumerate(_best(counts))) == best


def test_permuted_names_of_the_demos_network_are_noticed(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo, pictures = open_run(prepared / "runs" / "demo"), prepared / "pictures"
    named = [*demo.manifest.classes[1:], demo.manifest.classes[0]]
    spec = demo.manifest.network
    run = open_run(Path(shutil.copytree(demo.path, tmp_path / "permuted")))
    shutil.rmtree(run.path / "audit")
    run.update(classes=tuple(named), network=dict(spec) | {"classes": named})
    run.save_checkpoint(0, run.load_checkpoint(), ())  # as of a loaded one, it is not known what it was trained on
    options = AuditOptions(masks=str(pictures / "masks"), background_test="none", limit=80)
    run_audit.run_audit(run, open_dataset(pictures / "train.csv", pictures / "images"), options)
    order = proposed_order(open_table(run).confusion(), run.manifest.classes)
    assert order is not None and order.moved >= 5
    wanted = dict(zip(named, demo.manifest.classes, strict=True))
    right = [one for one, other in zip(named, order.classes, strict=True) if wanted[one] == other]
    assert len(right) >= order.moved - 2, "a class of few images may be left aside"
    assert proposed_order(open_table(demo).confusion(), demo.manifest.classes) is None
    assert order.sentence in whalecam("info", run.path).stdout
    monkeypatch.setenv("WHALECAM_RUNS", str(tmp_path))
    for page in (None, "pages/2_Model.py"):
        app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60).run()
        app = app.switch_page(page).run() if page else app
        assert not app.exception and any("in another order" in box.value for box in app.warning), page


MANY = 20
"""Photographs of a species at the least."""


def test_permuted_names_of_a_network_on_photographs_are_noticed(real_data: Path, tmp_path: Path) -> None:
    """A linear probe on real photographs, loaded with its classes in another order: the right order is proposed."""
    rows = pd.read_csv(real_data / "photos.csv")
    sizes = rows["species"].value_counts()
    rows = rows[rows["species"].isin(sizes[sizes >= MANY].index)]
    rows.to_csv(tmp_path / "train.csv", index=False)
    data = wc.open_dataset(
        tmp_path / "train.csv", real_data / "photos", label_column="species", group_column="individual_id"
    )
    run = wc.train(data, tmp_path / "right", recipe="linear-probe", size=128, split="random", folds=2)
    right = run.manifest.classes
    named = (*right[1:], right[0])
    loaded = wc.open_run(Path(shutil.copytree(run.path, tmp_path / "permuted")))
    loaded.update(classes=named, network=dict(run.manifest.network) | {"classes": list(named)})
    orders = []
    for one in (run, loaded):
        wc.audit(one, data, mask_method="border", background_test="none", maps="none")
        orders.append(proposed_order(open_table(one).confusion(), one.manifest.classes))
    assert orders[0] is None and orders[1] is not None
    assert orders[1].classes == right


@given(st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_what_is_left_unsearched_has_no_order_that_explains_it(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    if _may_explain(counts):
        return
    for order in permutations(range(4)):
        moved = [label for label, output in enumerate(order) if label != output]
        images = counts[moved].sum()
        as_proposed = sum(counts[label, order[label]] for label in moved)
        assert not images or as_proposed < MIN_AS_PROPOSED * images
