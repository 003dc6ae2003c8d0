"""The audit on real images: every image has one row, rows are what a loop by hand gives, interrupted work goes on."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from whalecam import network
from whalecam.arrays import Progress
from whalecam.audit import fold_job, run_audit
from whalecam.audit.known import agreements_of
from whalecam.audit.pipeline import overlapped
from whalecam.audit.precision import rounding
from whalecam.config import AuditOptions, Thresholds
from whalecam.data import geometry, read_grey, read_sample
from whalecam.errors import DatasetError, ModelError, RunError
from whalecam.explain import cam, score
from whalecam.explain.background_test.exchange import EXPLAINED, SETTLED
from whalecam.explain.explainer import Explained, Explainer, Looked
from whalecam.network.beside import side_by_side
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.schema import SCHEMA_VERSION
from whalecam.store.table import Table
from whalecam.store.table.exchanges import exchanged_of, read_exchanges

NO_REVIEWS = pd.DataFrame(columns=["image", "verdict"])
Several = Callable[[Explainer, Sequence[pd.DataFrame]], Iterator[list[Explained]]]


@pytest.fixture
def run(runs: Path) -> Run:
    return open_run(runs / "demo")


def rows_of(run: Run) -> pd.DataFrame:
    return Table(run.parts(), Thresholds(), NO_REVIEWS).all_rows()


def test_every_image_has_one_row_with_a_score_or_a_reason(run: Run) -> None:
    rows = rows_of(run)
    data = run_audit.open_data(run)
    assert sorted(rows["image"]) == sorted(set(data.table["image"]))
    assert (rows["attention_score"].notna() ^ (rows["reason"] != "")).all()
    assert set(rows["assessment"]) <= {"confirmed_leak", "hidden_reliance", "cosmetic", "clean", "not_assessable"}
    assert (rows["q_value"].notna() == rows["attention_score"].notna()).all()
    assert (rows["reliance"].notna() == (rows["reliance_swap"] >= EXPLAINED)).all()
    assert rows["completeness_error"].max() < 1e-4
    assert {"truncated", "missing file"} <= set(rows["reason"])


def test_a_row_equals_the_same_steps_by_hand(run: Run) -> None:
    table = Table(run.parts(), Thresholds(), NO_REVIEWS)
    name = table.all_rows().dropna(subset=["attention_score"])["image"].iloc[5]
    row, model = table.row(name), network.from_spec(run.manifest.network, run.load_checkpoint())
    data = run_audit.open_data(run)
    path = Path(data.table.set_index("image").loc[name, "path"])
    pixels = read_sample(path, name).pixels
    inputs = geometry.to_input(pixels, model.size, model.resize)
    with torch.no_grad():
        activations = model.features(model.batch(inputs[None]))
        logits = model.head(activations)[0].numpy()
    maps = cam.explain(model.head, activations).maps[0].numpy()
    mask = read_grey(path.parent.parent / "masks" / f"{path.stem}.png") / 255
    weights = score.weigh(*geometry.mask_to_input(mask, model.size, model.resize), maps.shape[1:])
    expected = score.score(maps[logits.argmax()] - maps.mean(axis=0), weights)
    assert row["predicted"] == model.classes[logits.argmax()]
    assert row["logits"] is not None and row["maps"] is not None
    np.testing.assert_allclose(row["logits"], logits, atol=1e-4)
    np.testing.assert_allclose(row["maps"], maps, atol=2e-3 * max(1.0, abs(maps).max()))
    assert row["attention_score"] == pytest.approx(expected.attention_score, abs=1e-4)
    label = model.classes.index(row["label"]) if row["label"] in model.classes else None
    if label is not None:
        p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert row["loss"] == pytest.approx(-np.log(p[label]), abs=1e-4)


def test_an_interrupted_audit_goes_on_where_it_stopped(run: Run) -> None:
    whole = rows_of(run)
    run.clear_audit()

    def stop(step: Progress) -> None:
        if step.stage == "audit" and step.done >= 32:
            raise KeyboardInterrupt

    data, options = (
        run_audit.open_data(run),
        AuditOptions(**{**vars(AuditOptions.stored(run.manifest.audit)), "batch": 16}),
    )
    with pytest.raises(KeyboardInterrupt):
        run_audit.run_audit(run, data, options, stop)
    assert 0 < len(run.audited()) < len(whole)
    summary = run_audit.run_audit(run, data, options)
    assert summary.new == len(whole) - 32 and not summary.restarted
    again = rows_of(run)
    assert again["image"].tolist() == whole["image"].tolist()
    np.testing.assert_allclose(again["attention_score"], whole["attention_score"], atol=1e-3)
    np.testing.assert_allclose(again["bg_gap"], whole["bg_gap"], atol=0.02)


def test_reliance_is_assessed_where_attention_cannot_be(run: Run, tmp_path: Path) -> None:
    options = AuditOptions.stored(run.manifest.audit)
    shutil.copytree(str(options.masks), tmp_path / "masks")
    small = sorted(path.stem for path in (tmp_path / "masks").iterdir())[:12]
    for name in small:
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{name}.png").convert("L"))
        y, x = (int(place.mean()) for place in np.nonzero(mask > 127))
        dot = np.zeros_like(mask)
        dot[y - 3 : y + 4, x - 3 : x + 4] = 255
        Image.fromarray(dot).save(tmp_path / "masks" / f"{name}.png")
    run_audit.run_audit(run, run_audit.open_data(run), replace(options, masks=str(tmp_path / "masks")))
    rows = rows_of(run).set_index("image").loc[[f"{name}.jpg" for name in small]]
    assert set(rows["reason"]) == {"subject smaller than one cell"} and rows["attention_score"].isna().all()
    listed = rows["q_value"] <= Thresholds().false_rate
    assert listed.any() and rows["q_value"].notna().all()
    assert rows["assessment"].tolist() == ["background_reliance" if one else "clean" for one in listed]


def test_every_exchange_of_a_background_is_kept(run: Run) -> None:
    rows = rows_of(run).set_index("image")
    read = exchanged_of(read_exchanges(run.parts()))
    images, found = read.images, read.exchanges
    assert [read.labels[code] for code in found.predicted.tolist()] == rows.loc[images, "predicted"].tolist()
    assert images == sorted(rows.index[rows["reliance_swap"].notna()])
    assert (found.own.shape[1], found.other.shape[1]) == (2, 6)
    settled = rows.loc[images, "reliance_swap"].to_numpy() < SETTLED
    assert (np.isnan(found.other).sum(axis=1) == 3)[settled].mean() > 0.5, "most stop after the first round"
    np.testing.assert_allclose(found.drop, rows.loc[images, "reliance_swap"], atol=1e-6)
    np.testing.assert_allclose(found.own[:, 0] - found.other[:, :3].mean(axis=1), rows.loc[images, "bg_gap"], atol=1e-6)
    np.testing.assert_allclose(found.before, rows.loc[images, "confidence"], atol=2e-3)
    assert len(np.unique(found.predicted)) == rows.loc[images, "predicted"].nunique()
    groups = pd.read_csv(run.manifest.dataset.csv)["individual_id"].nunique()
    assert 20 < len(np.unique([*found.own_unit.ravel(), *found.other_unit.ravel()])) <= groups + 1, (
        "donors of one individual count once"
    )


def test_exchanges_of_older_parts_are_left_out(run: Run, tmp_path: Path) -> None:
    part = run.parts()[0]
    old = tmp_path / "old.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["exchange_own"]), old)
    before = exchanged_of(read_exchanges([old]))
    assert before.images == [] and before.exchanges.drop.shape == (0,)
    both, new = (exchanged_of(read_exchanges(parts)).images for parts in ([old, part], [part]))
    assert both == new != []


def test_other_masks_start_the_table_anew(run: Run) -> None:
    before = rows_of(run)
    summary = run_audit.run_audit(run, run_audit.open_data(run), AuditOptions(limit=20, mask_method="border"))
    assert summary.restarted and summary.images == 20
    after = rows_of(run)
    assert set(after["mask_source"].dropna()) <= {"border"}
    assert set(before["mask_source"].dropna()) == {"given"}


def as_by_an_older_version(run: Run) -> AuditOptions:
    """The record of an audit that read every image at full size, as it was before anybody noted how."""
    record = dict(run.manifest.audit)
    assert record.pop("reading")
    run.update(audit=record)
    return AuditOptions.stored(record)


def test_a_complete_audit_of_an_older_version_stays(run: Run) -> None:
    before, options = [part.read_bytes() for part in run.parts()], as_by_an_older_version(run)
    record, data = dict(run.manifest.audit), run_audit.open_data(run)
    for given in (options, replace(options, limit=20)):
        summary = run_audit.run_audit(run, data, given)
        assert (summary.new, summary.restarted) == (0, False)
        assert [part.read_bytes() for part in run.parts()] == before and run.manifest.audit == record


def test_an_audit_that_an_older_version_began_starts_anew(run: Run) -> None:
    options, data = as_by_an_older_version(run), run_audit.open_data(run)
    shutil.rmtree(run.path / "audit")
    rows = [{"image": name, "reason": "read by the older version"} for name in data.table["image"].unique()[:10]]
    run.write_part(rows)
    short = replace(options, limit=12, background_test="none")
    run.update(audit={**run.manifest.audit, "background_test": "none"})
    summary = run_audit.run_audit(run, data, short)
    assert (summary.new, summary.images, summary.restarted) == (12, 12, True)
    assert "read by the older version" not in set(rows_of(run)["reason"]) and "reading" in run.manifest.audit
    assert not run_audit.run_audit(run, data, replace(short, limit=14)).restarted


def test_training_pictures_are_marked(run: Run) -> None:
    rows = rows_of(run)
    assert set(rows.loc[rows["in_training"], "image"]) == run.training_images()
    assert 0 < rows["in_training"].mean() < 1


def test_an_untrained_run_and_a_lost_mask_folder_are_explained(run: Run, tmp_path: Path) -> None:
    bare = create_run(tmp_path / "bare", DatasetRecord("a.csv", None, {}, ""))
    with pytest.raises(RunError, match="Train it first"):
        run_audit.run_audit(bare, run_audit.open_data(run), AuditOptions())
    with pytest.raises(DatasetError, match="no mask folder"):
        run_audit.run_audit(run, run_audit.open_data(run), AuditOptions(masks="/nowhere"))


def test_pictures_never_serve_as_their_own_masks(run: Run) -> None:
    data = run_audit.open_data(run)
    with pytest.raises(DatasetError, match="folder of their own"):
        run_audit.run_audit(run, data, AuditOptions(masks=str(data.images)))


def test_larger_maps_leave_predictions_alone_and_say_what_they_cost(run: Run) -> None:
    before, data = rows_of(run).set_index("image"), run_audit.open_data(run)
    summary = run_audit.run_audit(run, data, replace(AuditOptions.stored(run.manifest.audit), size=112, limit=30))
    after = rows_of(run).set_index("image")
    both = after.index[after["predicted"] != ""]
    assert summary.restarted and "112 px" in summary.note and "80 px" in summary.note
    np.testing.assert_allclose(after.loc[both, "confidence"], before.loc[both, "confidence"], atol=1e-5)
    table = Table(run.parts(), Thresholds(), NO_REVIEWS)
    maps = table.row(both[0])["maps"]
    assert maps is not None and maps.shape[1:] == (7, 7)
    assert after["completeness_error"].max() < 1e-4


def test_statistics_of_a_larger_input_are_those_of_its_pooled_activations(run: Run) -> None:
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    batches = [np.random.default_rng(n).integers(0, 255, (8, 128, 128, 3), np.uint8) for n in range(2)]
    larger = network.at_size(model, 128, batches)
    with torch.no_grad():
        pooled = [model.features(model.batch(inputs)).mean((2, 3)) for inputs in batches]
    torch.testing.assert_close(larger.head.get_buffer("2.running_mean"), sum(p.mean(0) for p in pooled) / 2)
    torch.testing.assert_close(larger.head.get_buffer("2.running_var"), sum(p.var(0) for p in pooled) / 2)
    assert not torch.allclose(model.head.get_buffer("2.running_mean"), larger.head.get_buffer("2.running_mean"))


def test_a_size_that_cannot_be_is_refused_before_rows_are_lost(run: Run) -> None:
    rows = len(rows_of(run))
    with pytest.raises(ModelError, match="from 32 to 1024"):
        run_audit.run_audit(run, run_audit.open_data(run), replace(AuditOptions.stored(run.manifest.audit), size=8))
    assert len(rows_of(run)) == rows


def test_the_background_test_is_of_those_images_it_should_be(run: Run) -> None:
    data, options = run_audit.open_data(run), AuditOptions.stored(run.manifest.audit)
    run_audit.run_audit(run, data, replace(options, background_test="none", limit=20))
    rows = rows_of(run)
    assert rows["reliance"].isna().all()
    assert set(rows["assessment"]) <= {"suspect", "not_tested", "not_assessable"}
    with pytest.raises(RunError, match="all, auto, none"):
        run_audit.run_audit(run, data, replace(options, background_test="some"))


def test_an_audit_whose_options_had_earlier_names_goes_on(run: Run) -> None:
    record = dict(run.manifest.audit)
    assert AuditOptions.stored(record).background_test == record["background_test"] == "all"
    record["needs"] = record.pop("background_test")
    run.update(audit=record, schema_version=SCHEMA_VERSION - 1)
    again = open_run(run.path)
    options = AuditOptions.stored(again.manifest.audit)
    assert options.background_test == "all"
    summary = run_audit.run_audit(again, run_audit.open_data(again), options)
    assert not summary.restarted and summary.new == 0


ROUNDED = ("maps", "logits", "embedding", "reliance_image")


@pytest.mark.parametrize("several", [overlapped, side_by_side])
def test_batches_at_once_give_what_one_after_the_other_gives(run: Run, several: Several) -> None:
    data = run_audit.open_data(run)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    explainer = Explainer(model, run_audit.mask_sources(AuditOptions.stored(run.manifest.audit)))
    batches = [data.table.iloc[start : start + 7] for start in range(0, 30, 7)]
    found = list(several(explainer, batches))
    assert [[item.row["image"] for item in part] for part in found] == [batch["image"].tolist() for batch in batches]
    for part, batch in zip(found, batches, strict=True):
        for item, wanted in zip(part, explainer(batch), strict=True):
            assert item.thumb == wanted.thumb and item.row.keys() == wanted.row.keys()
            for name, value in item.row.items():  # a pass on one thread rounds unlike one on two
                told = wanted.row[name]
                assert value == (pytest.approx(told, abs=1e-4) if isinstance(told, float) else told) or name in ROUNDED
    assert list(several(explainer, [])) == []


def test_what_is_known_of_a_mask_is_not_measured_again(run: Run) -> None:
    data = run_audit.open_data(run)
    options = AuditOptions.stored(run.manifest.audit)
    known = agreements_of(run)
    image = sorted(known)[0]
    bits, measured = known[image]
    assert 0 < measured < 1 and bits
    networks = fold_job.prepared(run, 0, data, options)
    sources, rows = run_audit.joined_sources(data, options).sources, data.table[data.table["image"] == image]
    donors = fold_job.donors_of(run, data, sources, options, report=lambda _: None)
    for agreement, wanted in (((bits, 0.125), 0.125), ((bits[:-1], 0.125), measured)):
        agreements = {image: agreement}
        work = fold_job.Work(networks, sources, options, frozenset(), donors, None, 0, agreements)
        assert work.explainer()(rows)[0].row["mask_agreement"] == pytest.approx(wanted, abs=1e-3)


def test_a_batch_of_large_pictures_is_taken_in_portions(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = run_audit.open_data(run)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    explainer = Explainer(model, run_audit.mask_sources(AuditOptions.stored(run.manifest.audit)))
    whole, batch = explainer(data.table.head(9)), data.table.head(9)
    sizes = [item.row["width"] * item.row["height"] for item in whole]
    monkeypatch.setattr(sys.modules["whalecam.explain.explainer"], "PORTION", 2 * max(sizes))
    held = [
        [sample.pixels.size // 3 for _, sample in part if sample is not None] for part in explainer._portions(batch)
    ]
    assert [size for part in held for size in part] == sizes and len(held) > 2
    assert all(sum(part[:-1]) < 2 * max(sizes) for part in held)
    for item, wanted in zip(explainer(batch), whole, strict=True):
        assert item.row["image"] == wanted.row["image"]
        assert item.row["loss"] == pytest.approx(wanted.row["loss"], abs=1e-5)


@pytest.mark.parametrize("several", [overlapped, side_by_side])
def test_an_error_in_a_step_beside_is_not_swallowed(run: Run, several: Several) -> None:
    class Broken(Explainer):
        def measure(self, looked: Looked) -> list[Explained]:
            raise RuntimeError("broken")

    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    data = run_audit.open_data(run)
    with pytest.raises(RuntimeError, match="broken"):
        list(
            several(
                Broken(model, run_audit.mask_sources(AuditOptions.stored(run.manifest.audit))), [data.table.head(3)]
            )
        )


def test_what_bfloat16_costs_is_said_or_it_is_not_used(run: Run) -> None:
    data = run_audit.open_data(run)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    assert rounding(model, model, data) == 0
    assert rounding(model, network.quick(model, halves=False), data) < 1e-4
    run.clear_audit()
    summary = run_audit.run_audit(
        run, data, replace(AuditOptions.stored(run.manifest.audit), background_test="none", limit=8)
    )
    used = network.fast_halves(network.pick_device("cpu")) and rounding(model, network.quick(model), data) <= 0.03
    assert ("bfloat16" in summary.note) == used and summary.passes == 8


def test_the_background_test_counts_its_passes(run: Run) -> None:
    run.clear_audit()
    summary = run_audit.run_audit(
        run, run_audit.open_data(run), replace(AuditOptions.stored(run.manifest.audit), limit=4, donors=2)
    )
    assert 4 < summary.passes <= 4 + 4 * (5 * 4 + 2)
