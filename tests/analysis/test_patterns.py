"""What many images have in common: drawings with known answers, and the peers' own numbers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.cluster import SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from tests.copies import copied
from whalecam.analysis.patterns import atlas, pairs, places
from whalecam.analysis.patterns.strategies import odd, smaller, strategies
from whalecam.arrays import Progress
from whalecam.config import MASK_GRID
from whalecam.data.geometry import frame_of
from whalecam.errors import RunError
from whalecam.explain import render
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import create_run, open_run
from whalecam.store.table import MapRow, aligned
from whalecam.store.table.maps import stored_maps
from whalecam.words import MARINE

CLASSES = ("beluga", "orca")


def blob(y: float, x: float, wide: float, cells: int = 8) -> NDArray[Any]:
    rows, columns = np.mgrid[:cells, :cells]
    return np.asarray(np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / wide**2))


def looks(seed: int, odd_ones: int = 8) -> NDArray[Any]:
    """80 maps about the middle of the image and some in its bottom right corner, where a copyright text stands."""
    rng = np.random.default_rng(seed)
    middle = [
        blob(4 + rng.normal() * 0.8, 4 + rng.normal() * 1.2, 1.6) * rng.uniform(1, 3) + rng.random((8, 8)) * 0.15
        for _ in range(80)
    ]
    maps = np.stack(middle + [blob(7, 7, 1) + rng.random((8, 8)) * 0.1 for _ in range(odd_ones)])
    return np.asarray(maps / maps.sum(axis=(1, 2), keepdims=True))


def rows_of(maps: NDArray[Any], leaks: float | None = 0.5) -> list[MapRow]:
    """Rows as `stored_maps` gives them, whose relative map of the predicted class is `maps`."""
    return [
        {
            "image": f"{at:03}.jpg",
            "label": "orca",
            "predicted": "orca",
            "width": 200,
            "height": 100,
            "map_height": one.shape[0],
            "map_width": one.shape[1],
            "maps": np.stack([-one, one]),
            "mask_bits": None,
            "background_share": leaks,
        }
        for at, one in enumerate(maps)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_copyright_text_is_a_strategy_of_its_own(seed: int) -> None:
    maps, truth = looks(seed), [0] * 80 + [1] * 8
    labels = odd(maps)
    assert adjusted_rand_score(truth, labels) == 1
    peer = SpectralClustering(2, affinity="nearest_neighbors", n_neighbors=7, random_state=0)
    assert adjusted_rand_score(peer.fit_predict(np.stack([smaller(one) for one in maps])), labels) > 0.9
    np.testing.assert_array_equal(labels, odd(maps))
    found = strategies(rows_of(maps), CLASSES)
    assert [len(group.images) for group in found] == [8, 80] and [group.usual for group in found] == [False, True]
    assert set(found[0].images) == {f"{at:03}.jpg" for at in range(80, 88)}
    np.testing.assert_allclose(found[0].mean, sum(maps[80:]) / 8, atol=1e-9)
    assert tuple(map(int, np.unravel_index(found[0].mean.argmax(), (8, 8)))) == (7, 7)
    slow = sum(abs(a - b) for a, b in zip((sum(maps[80:]) / 8).ravel(), (sum(maps) / 88).ravel(), strict=True)) / 2
    assert found[0].apart == pytest.approx(slow)


def test_maps_of_one_kind_are_one_group_and_few_maps_are_none() -> None:
    (group,) = strategies(rows_of(looks(0, 0)), CLASSES)
    assert group.usual and len(group.images) == 80 and group.background_share == pytest.approx(0.5)
    assert strategies(rows_of(looks(0, 0)[:15]), CLASSES) == []
    flat = rows_of(looks(0, 0))
    for row in flat:
        row["maps"] = np.zeros((2, 8, 8), np.float32)
    assert strategies(flat, CLASSES) == []
    assert np.isnan(strategies(rows_of(looks(0, 0), None), CLASSES)[0].background_share)


def test_identical_maps_and_maps_of_one_cell_go_through() -> None:
    assert [group.usual for group in strategies(rows_of(np.full((20, 1, 1), 1.0)), CLASSES)] == [True]
    assert [group.usual for group in strategies(rows_of(np.repeat(looks(0)[:1], 20, axis=0)), CLASSES)] == [True]


def test_smaller_keeps_shares() -> None:
    share = np.arange(1, 257, dtype=float).reshape(16, 16)
    share /= share.sum()
    slow = [share[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].sum() for y in range(8) for x in range(8)]
    np.testing.assert_allclose(smaller(share) ** 2, slow, rtol=1e-6)
    np.testing.assert_allclose(smaller(share[:3, :5]) ** 2, share[:3, :5].ravel() / share[:3, :5].sum(), rtol=1e-6)


def boxed(values: NDArray[Any], box: tuple[int, int, int, int]) -> MapRow:
    """An image with an animal in `box` (cells of the mask's grid: left, top, right, bottom)."""
    mask = np.zeros((MASK_GRID, MASK_GRID), np.float32)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    (row,) = rows_of(values[None])
    row["mask_bits"] = render.pack_mask(mask)
    return row


QUARTER = MASK_GRID // 4
MIDDLE = (QUARTER, QUARTER, 3 * QUARTER, 3 * QUARTER)


def test_the_atlas_of_flat_maps_is_one_everywhere() -> None:
    found = atlas.atlas([boxed(np.full((8, 8), 0.3), MIDDLE)] * 3, CLASSES, "squish")
    assert found.images == 3 and found.background_share == 0.5
    np.testing.assert_allclose(found.mean, 1, rtol=1e-6)
    assert atlas.caption(found, MARINE) == ("50\u00a0% on the animal, 50\u00a0% on water", "no part stands out")


def test_the_atlas_finds_the_same_end_of_animals_wherever_they_are() -> None:
    rows = []
    for left in (0, 2 * QUARTER):  # animals in the left and in the right half, each looked at at its left end
        values = np.full((64, 64), 0.01)
        values[16:48, left * 64 // MASK_GRID : left * 64 // MASK_GRID + 10] = 1
        rows.append(boxed(values, (left, QUARTER, left + 2 * QUARTER, 3 * QUARTER)))
    found = atlas.atlas(rows, CLASSES, "squish")
    parts = atlas.parts_of(found.mean)
    assert parts["left end"] > 5 and parts["centre"] < 1 and parts["right end"] < 0.5 and parts["above"] < 1
    assert atlas.caption(found, MARINE)[1].startswith("most at the left end")


def test_the_atlas_reads_a_map_where_the_box_lies_asked_slowly() -> None:
    values = np.random.default_rng(0).random((8, 8))
    found = atlas.in_box(values, (0.25, 0.25, 0.75, 0.75), frame_of(200, 100, "squish"))
    for at in (0, 9, 31):
        for along in (3, 16):
            y, x = ((0.25 + (-0.5 + (one + 0.5) / 16) * 0.5) * 8 - 0.5 for one in (at, along))
            y, x = min(max(y, 0), 7), min(max(x, 0), 7)
            (top, left), (down, right) = (int(y), int(x)), (min(int(y) + 1, 7), min(int(x) + 1, 7))
            upper = values[top, left] * (1 - x + left) + values[top, right] * (x - left)
            lower = values[down, left] * (1 - x + left) + values[down, right] * (x - left)
            assert found[at, along] == pytest.approx(upper * (1 - y + top) + lower * (y - top), abs=0.02)


def test_the_atlas_is_unknown_beyond_the_picture_and_the_crop() -> None:
    found = atlas.in_box(np.ones((8, 8)), (0.0, 0.0, 0.5, 1.0), frame_of(200, 100, "squish"))
    assert np.isnan(found[:, :8]).all() and np.isnan(found[:8]).all() and np.isfinite(found[8:24, 8:]).all()
    crop = atlas.in_box(np.ones((8, 8)), (0.0, 0.0, 1.0, 1.0), frame_of(200, 100, "crop"))
    assert np.isnan(crop[16, :12]).all() and np.isfinite(crop[16, 12:20]).all()


def test_pictures_without_an_animal_are_left_out_of_the_atlas() -> None:
    found = atlas.atlas([boxed(np.ones((4, 4)), (0, 0, 0, 0))], CLASSES, "squish")
    assert found.images == 0 and np.isnan(found.mean).all() and np.isnan(found.background_share)
    assert atlas.caption(found, MARINE) == ("", "no part stands out")


def test_pairs_are_counted_both_ways() -> None:
    rows = [("a", "a", 10), ("a", "b", 3), ("b", "a", 2), ("b", "b", 1), ("c", "a", 5), ("c", "c", 50), ("a", "d", 9)]
    found = pairs.confused_pairs(pd.DataFrame(rows, columns=["label", "predicted", "images"]))
    assert found == [pairs.Pair("a", "b", 5, 25), pairs.Pair("a", "c", 5, 77)]
    assert pairs.confused_pairs(pd.DataFrame(columns=["label", "predicted", "images"])) == []


def test_pca_is_that_of_the_singular_values_and_always_the_same() -> None:
    vectors: NDArray[Any] = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32) * [5, 3, 1, 1, 1, 1, 1]
    found = places.pca(vectors)
    left, values, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(left[:, :2] * values[:2]), atol=1e-4)
    np.testing.assert_allclose(np.abs(found), np.abs(PCA(2).fit_transform(vectors)), atol=1e-4)
    farthest = np.abs(found).argmax(axis=0)
    assert (found[farthest, [0, 1]] > 0).all()
    np.testing.assert_array_equal(places.pca(vectors[:1]), [[0, 0]])


def test_nearest_are_those_of_the_peer() -> None:
    frame = pd.DataFrame({"fold": 0, "embedding": list(np.random.default_rng(0).normal(size=(40, 6)))})
    vectors = aligned(frame)
    away, order = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors).kneighbors(vectors[7:8])
    found, alike = places.nearest(vectors, 7, 5)
    np.testing.assert_array_equal(found, order[0, 1:])
    np.testing.assert_allclose(alike, 1 - away[0, 1:], atol=1e-5)


def test_umap_is_laid_out_kept_and_forgotten_with_its_audit(prepared: Path, tmp_path: Path) -> None:

    import torch

    copied(prepared / "runs" / "demo", tmp_path / "demo")
    run, said = open_run(tmp_path / "demo"), list[Progress]()
    rows = places.laid_out(run)
    assert places.kept(run, rows) is None
    threads = torch.get_num_threads()
    assert places.lay_out(run, said.append) == len(rows)
    assert torch.get_num_threads() == threads, "the environment of the tests must hold Numba's threads down"
    found = places.kept(run, rows)
    assert found is not None and found.shape == (len(rows), 2) and np.isfinite(found).all()
    assert said[-1].done == said[-1].total > 0
    assert places.kept(run, rows.iloc[1:]) is None
    # Images that the network saw alike lie nearer each other than images do by chance.
    vectors = aligned(rows)
    near = [np.linalg.norm(found[at] - found[places.nearest(vectors, at, 3)[0]], axis=1).mean() for at in range(30)]
    rng = np.random.default_rng(0)
    chance = [np.linalg.norm(found[at] - found[rng.integers(len(rows), size=3)], axis=1).mean() for at in range(30)]
    assert np.mean(near) < 0.6 * np.mean(chance)
    run.embedding.write_bytes(b"half a file")
    assert places.kept(run, rows) is None
    np.savez(run.embedding.open("wb"), stamp=np.array(["x"], object), image=rows["image"].to_numpy(object))
    assert places.kept(run, rows) is None  # pickled, so not read


def test_an_older_audit_is_told_to_audit_again(tmp_path: Path) -> None:
    run = create_run(tmp_path / "r", DatasetRecord("a", "b", {}, ""))
    run.write_part([{"image": "a.jpg"}])
    with pytest.raises(RunError, match="audit again"):
        places.lay_out(run)


def test_stored_maps_are_those_of_the_species(prepared: Path) -> None:
    import pyarrow.parquet as pq

    run = open_run(prepared / "runs" / "demo")
    rows = pd.concat([pq.read_table(part).to_pandas() for part in run.parts()])
    wanted = rows[(rows["label"] == "beluga") & rows["predicted"].notna()]
    found = {row["image"]: row["maps"] for row in stored_maps(run.parts(), ["beluga"], 100)}
    assert set(found) == set(wanted["image"])
    for image, raw, height, width in wanted[["image", "maps", "map_height", "map_width"]].itertuples(index=False):
        slow = np.frombuffer(raw, np.float16).reshape(len(run.manifest.classes), int(height), int(width))
        np.testing.assert_array_equal(found[image], slow)
    few = [row["image"] for row in stored_maps(run.parts(), ["beluga"], 5)]
    assert len(few) == 5 and few == [row["image"] for row in stored_maps(run.parts(), ["beluga"], 5)]
    assert list(stored_maps(run.parts(), ["no such"], 5)) == []


def test_several_species_are_read_at_once_and_each_as_if_alone(prepared: Path) -> None:
    run, told = open_run(prepared / "runs" / "demo"), list[Progress]()
    names, resize = run.manifest.classes, str(run.manifest.network["resize"])
    rows = list(stored_maps(run.parts(), names, 7, told.append))
    assert [one.done for one in told] == list(range(1, len(run.parts()) + 1)) and told[-1].total == len(run.parts())
    found = atlas.atlases(rows, names, resize)
    assert set(found) == {row["label"] for row in rows} and len(found) > 2
    for name, together in found.items():
        alone = list(stored_maps(run.parts(), [name], 7))
        assert [row["image"] for row in rows if row["label"] == name] == [row["image"] for row in alone]
        slow = atlas.atlas(alone, names, resize)
        np.testing.assert_array_equal(together.mean, slow.mean)
        assert together.images == slow.images and together.background_share == pytest.approx(
            slow.background_share, nan_ok=True
        )


def test_umap_is_not_loaded_before_it_is_asked_for() -> None:
    program = (
        "import sys, numpy as np; from whalecam.analysis.patterns import places, strategies, atlas, pairs;"
        "places.pca(np.eye(5)); sys.exit(any(name in sys.modules for name in ('umap', 'numba', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
