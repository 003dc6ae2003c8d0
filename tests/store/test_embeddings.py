"""What the networks saw: stored by the audit, read back, compared within and across folds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.store.test_table import make_rows
from whalecam.config import Thresholds
from whalecam.data import open_dataset, read_sample
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.schema import SCHEMA
from whalecam.store.table import NO_REVIEWS, Table, aligned, embeddings


def older_part(run: Run, rows: list[dict[str, object]]) -> None:
    """A part as written before the column existed."""
    part = run.write_part(rows)
    table = pq.read_table(part).drop_columns(["embedding"])
    pq.write_table(table, part)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "r", DatasetRecord("a", "b", {}, ""))


@pytest.mark.parametrize("newer", [0, 23])
def test_a_run_audited_before_the_column_opens_as_ever(run: Run, newer: int) -> None:
    rows = make_rows()
    older_part(run, rows[newer:])
    if newer:
        run.write_part([row | {"embedding": np.arange(3, dtype="<f2").tobytes()} for row in rows[:newer]])
    table = Table(run.parts(), Thresholds(), NO_REVIEWS)
    assert table.count() == 40 and "embedding" not in table.all_rows()
    maps = table.row("000.jpg")["maps"]
    assert maps is not None and maps.shape == (2, 2, 3) and table.row("039.jpg")["image"] == "039.jpg"
    assert embeddings(run.parts())["image"].tolist() == [f"{at:03}.jpg" for at in range(newer)]


def test_what_was_written_is_read(run: Run) -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype("<f2")
    rows = [{"image": f"{at}.jpg", "fold": at % 2, "embedding": vectors[at].tobytes()} for at in (3, 1, 0, 2)]
    run.write_part([*rows, {"image": "4.jpg"}, {"image": "5.jpg", "embedding": np.full(5, np.inf, "<f2").tobytes()}])
    found = embeddings(run.parts())
    assert found["image"].tolist() == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    np.testing.assert_array_equal(np.stack(found["embedding"].tolist()), vectors.astype(np.float32))
    assert embeddings([]).empty and aligned(embeddings([])).shape[0] == 0


def test_a_large_run_is_sampled_alike_each_time_whatever_its_parts(run: Run, tmp_path: Path) -> None:
    vectors = {f"{at:03}.jpg": np.full(2, at, "<f2") for at in range(200)}
    names = list(np.random.default_rng(1).permutation(list(vectors)))
    for start in range(0, 200, 20):
        run.write_part([{"image": name, "embedding": vectors[name].tobytes()} for name in names[start : start + 20]])
    run.write_part([{"image": name, "embedding": (-vectors[name]).tobytes()} for name in names[:50]])
    lots = dict(zip(vectors, pd.util.hash_array(np.array(list(vectors), object)), strict=True))
    slowly = sorted(sorted(lots, key=lots.__getitem__)[:30])
    for parts in (run.parts(), [*run.parts()[5:10], *run.parts()[:5], *run.parts()[10:]]):
        found = embeddings(parts, 30)
        assert found["image"].tolist() == slowly
        told = {name: -vectors[name] if name in names[:50] else vectors[name] for name in slowly}
        np.testing.assert_array_equal(np.stack(found["embedding"].tolist()), np.stack([told[name] for name in slowly]))
    assert embeddings(run.parts(), 200).equals(embeddings(run.parts()))


def test_unseen_pictures_are_those_that_were_not_trained_on(run: Run) -> None:
    vector = np.ones(2, "<f2").tobytes()
    run.write_part([{"image": f"{at}", "in_training": at % 3 == 0, "embedding": vector} for at in range(9)])
    assert embeddings(run.parts(), unseen=True)["image"].tolist() == ["1", "2", "4", "5", "7", "8"]
    assert set(embeddings(run.parts(), 3, unseen=True)["image"]) < {"1", "2", "4", "5", "7", "8"}


def test_the_audit_stores_the_mean_of_the_activations_that_the_head_sees(prepared: Path) -> None:
    import torch

    from whalecam import network
    from whalecam.data import geometry

    run = open_run(prepared / "runs" / "demo")
    found = embeddings(run.parts())
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    folder = open_dataset(prepared / "pictures" / "train.csv", prepared / "pictures" / "images").table
    paths = dict(zip(folder["image"], folder["path"], strict=True))
    for image, vector in found[["image", "embedding"]].head(5).itertuples(index=False):
        pixels = read_sample(Path(paths[image]), image).pixels
        with torch.no_grad():
            seen = model.features(model.batch(geometry.to_input(pixels, model.size, model.resize)[None]))[0].numpy()
        slow = [channel.sum() / channel.size for channel in seen]
        np.testing.assert_allclose(vector, slow, atol=2e-2, rtol=2e-2)
    light = pq.read_table(run.parts()[0], columns=["image", "predicted"]).to_pandas()
    assert set(light.loc[light["predicted"].notna(), "image"]) <= set(found["image"])
    assert SCHEMA.field("embedding").type == pa.binary()


def test_folds_are_standardised_apart() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(30, 6))
    vectors[:, 5] = 3.0  # says nothing
    folds = np.repeat([0, 1], 15)
    skewed = np.where(folds[:, None] == 1, vectors * [4, 1, 9, 2, 1, 1] + 7, vectors)
    rows = pd.DataFrame({"fold": folds, "embedding": list(skewed.astype(np.float32))})
    slow = np.zeros_like(vectors)
    for fold in (0, 1):
        for channel in range(5):
            own = vectors[folds == fold, channel]
            slow[folds == fold, channel] = (own - own.sum() / 15) / (((own - own.mean()) ** 2).sum() / 15) ** 0.5
    slow /= ((slow**2).sum(axis=1) ** 0.5)[:, None]
    np.testing.assert_allclose(aligned(rows), slow, atol=1e-5)
