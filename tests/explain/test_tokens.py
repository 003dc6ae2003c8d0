"""Tokens of high norm and the places that tokens stand for, on networks whose answers are known."""

import statistics
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tests.commandline import whalecam
from tests.network.test_network import varied
from tests.pages.test_pages import open_page, texts
from tests.test_run_words import CARS
from whalecam import network
from whalecam.analysis.token_caution import row_sentence, token_caution
from whalecam.config import HIGH_NORM_LIMIT
from whalecam.explain.background_test import Scene
from whalecam.explain.high_norm import high_norm, high_norm_share
from whalecam.explain.places import moved, places
from whalecam.network.modules import cut
from whalecam.network.tokens import has_patches, with_patches
from whalecam.store.open_table import open_table
from whalecam.store.run import open_run
from whalecam.store.token_places import Places, places_of, save_places

SIDE, PATCH, WIDTH = 64, 8, 16
GRID = SIDE // PATCH
Norms = NDArray[np.float64]


def slowly(norms: Norms) -> list[bool]:
    """The rule by the standard library, one token at a time."""
    values = [float(value) for value in norms.ravel()]
    median = statistics.median(values)
    spread = 1.4826 * statistics.median(abs(value - median) for value in values)
    return [value > 2 * median and value > median + 6 * spread for value in values]


def test_a_token_that_stands_out_is_found() -> None:
    norms = np.linspace(45, 55, 64).reshape(8, 8)
    assert not high_norm(norms).any()
    norms[2, 5] = 450
    assert np.argwhere(high_norm(norms)).tolist() == [[2, 5]]
    flat = np.full((4, 4), 3.0)
    flat[0, 0] = 5.9
    assert not high_norm(flat).any(), "less than twice the median, though nothing else varies"
    flat[0, 0] = 6.1
    assert high_norm(flat).sum() == 1


@given(arrays(np.float64, (5, 4), elements=st.just(0.0) | st.floats(1e-3, 500)))
def test_the_rule_is_that_of_the_slow_way_and_of_no_unit(norms: Norms) -> None:
    assert high_norm(norms).ravel().tolist() == slowly(norms)
    assert high_norm(norms * 4.0).tolist() == high_norm(norms).tolist()


def test_the_share_counts_evidence_in_high_norms_on_the_background() -> None:
    norms, relative, background = np.full((4, 4), 50.0), np.ones((4, 4)), np.ones((4, 4))
    relative[0], relative[1, 0] = -5.0, 4.0  # four cells against, and 11 + 4 for
    norms[1, 0] = norms[2, 2] = 400
    assert high_norm_share(relative, norms, background) == pytest.approx(5 / 15)
    assert high_norm_share(relative, norms, None) == pytest.approx(5 / 15)
    background[1, 0] = 0.4  # the animal
    assert high_norm_share(relative, norms, background) == pytest.approx(1 / 15)
    assert np.isnan(high_norm_share(-np.ones((4, 4)), norms, None))


def transformer(**options: Any) -> Any:
    frame: dict[str, Any] = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": 2, "num_heads": 2}
    torch.manual_seed(0)
    return varied(VisionTransformer(**frame, num_classes=3, **options))


def of(model: nn.Module) -> network.Network:
    parts = cut(model, SIDE)
    frame = ("toy", ("a", "b", "c"), SIDE, "squish", (0.5,) * 3, (0.5,) * 3)
    return network.Network(parts.features, parts.head, *frame, head_kind="own", way=parts.way, whole_classes=3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reg_tokens": 2},
        {"global_pool": "map", "class_token": False},
        {"global_pool": "avg"},
        {"global_pool": "avg", "class_token": False, "reg_tokens": 1},
    ],
)
def test_the_tokens_are_those_behind_the_last_layer(options: dict[str, Any]) -> None:
    model = transformer(**options)
    ours, pixels, seen = of(model), torch.rand(2, 3, SIDE, SIDE), list[Tensor]()
    handle = model.blocks[-1].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        model(pixels)
        handle.remove()
        activations, patches = with_patches(ours.features, pixels)
        assert torch.allclose(activations, ours.features(pixels)) and has_patches(ours.features)
    wanted = seen[0][:, model.num_prefix_tokens :].transpose(1, 2).reshape(2, WIDTH, GRID, GRID)
    assert patches is not None and torch.allclose(patches, wanted, atol=1e-5)


def test_a_network_without_tokens_has_none() -> None:
    model = of(varied(timm.create_model("resnet18d", num_classes=3)))
    with torch.no_grad():
        assert with_patches(model.features, torch.rand(1, 3, SIDE, SIDE))[1] is None
    assert not has_patches(model.features)


def local() -> Any:
    """A transformer whose tokens see their own patch alone: its attention writes nothing."""
    model = transformer()
    for block in model.blocks:
        nn.init.zeros_(block.attn.proj.weight)
        nn.init.zeros_(block.attn.proj.bias)
    return model


def test_a_planted_register_is_the_one_token_of_high_norm() -> None:
    model = local()
    with torch.no_grad():
        for block in model.blocks:
            block.mlp.fc2.weight.mul_(0.01)  # what lies in the embedding stays
        model.pos_embed[0, 1 + 3 * GRID + 6] += 200
        patches = with_patches(of(model).features, torch.rand(2, 3, SIDE, SIDE))[1]
    assert patches is not None
    for norms in patches.norm(dim=1).numpy():
        assert np.argwhere(high_norm(norms)).tolist() == [[3, 6]]


def scene(seed: int) -> Scene:
    """An animal in the middle of the upper left quarter on noise."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[:32, :32] = 1
    return Scene(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8), mask)


def measured(model: nn.Module) -> Places:
    found = places(of(model), [scene(0), scene(1)], [scene(2).lend(), scene(3).lend()], [None, None])
    assert found is not None and found.images == 2
    return found


def test_tokens_of_their_own_patch_stand_for_their_places() -> None:
    found = measured(local())
    assert found.on_animal == 0, "the animal's pixels are untouched"
    assert found.on_background > 0 and found.correlation > 0.8


def test_tokens_that_mix_the_whole_image_do_not() -> None:
    """Each token is that of the first patch alone: all change alike."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(3, WIDTH, PATCH, PATCH)

        def forward(self, images: Tensor) -> Tensor:
            patches = self.inner(images).flatten(2).transpose(1, 2)
            own = torch.arange(patches.shape[1])[None, :, None] % 7  # which no exchange changes
            return cast(Tensor, patches.mean(dim=1, keepdim=True) + own)

    model = transformer(global_pool="avg")
    model.patch_embed = Mixed()
    model.patch_embed.grid_size = (GRID, GRID)
    found = measured(model)
    assert found.on_animal == pytest.approx(found.on_background, rel=0.5) and abs(found.correlation) < 0.5


def test_how_far_tokens_move_is_a_share_of_their_norm() -> None:
    before = np.zeros((2, 1, 2))
    before[:, 0, 0], before[:, 0, 1] = (3, 4), (0, 2)
    after = before.copy()
    after[:, 0, 0] = (3, 9)
    assert moved(before, after).tolist() == [[1.0, 0.0]]


def test_padding_counts_for_nothing() -> None:
    """The lower half is padding, whose tokens never move."""
    padded, seen = scene(0), np.ones((SIDE, SIDE))
    padded.mask[32:], seen[32:] = 1, 0
    lent = [scene(2).lend()]
    right, wrong = (places(of(local()), [padded], lent, [shown]) for shown in (seen, None))
    assert right is not None and wrong is not None
    assert right.on_animal == wrong.on_animal == 0 and right.correlation > 0.8
    assert right.correlation != wrong.correlation


def test_nothing_is_measured_without_animal_or_background() -> None:
    bare, full = (Scene(scene(0).pixels, np.full((SIDE, SIDE), value, np.float32)) for value in (0, 1))
    water = scene(1).lend()
    assert places(of(local()), [bare, full], [water, water], [None, None]) is None


def test_an_audit_measures_tokens_and_says_so(prepared: Path, tmp_path: Path) -> None:
    pictures, demo = prepared / "pictures", open_run(prepared / "runs" / "demo")
    model = timm.create_model("vit_tiny_patch16_224", num_classes=len(demo.manifest.classes), img_size=SIDE)
    torch.save(varied(model).state_dict(), tmp_path / "w.pth")
    source = [
        pictures / "train.csv",
        pictures / "images",
        "--run",
        tmp_path / "run",
        "--checkpoint",
        tmp_path / "w.pth",
    ]
    loaded = whalecam("train", *source, "--arch", "vit_tiny_patch16_224", "--size", SIDE)
    assert loaded.returncode == 0, loaded.stderr
    audited = whalecam("audit", tmp_path / "run", "--limit", "12", "--masks", pictures / "masks")
    assert audited.returncode == 0, audited.stderr
    run = open_run(tmp_path / "run")
    shares = pq.read_table(run.parts()[0], columns=["high_norm_share"])[0].to_pylist()
    assert all(share is None or 0 <= share <= 1 for share in shares) and any(share is not None for share in shares)
    found = places_of(run)
    assert found is not None and -1 <= found.correlation <= 1 and found.images > 0
    caution = token_caution(run, open_table(run))
    assert caution is not None and caution.images == sum(share is not None for share in shares)
    assert caution.flagged == sum(share is not None and share > HIGH_NORM_LIMIT for share in shares)
    said = whalecam("info", run.path).stdout
    assert len(caution.sentences) == 2 and all(sentence in said for sentence in caution.sentences)
    assert token_caution(demo, open_table(demo)) is None and places_of(demo) is None
    save_places(run, Places(correlation=0.1, on_animal=0.5, on_background=0.5, images=3))
    run.update(words=CARS)
    said = whalecam("info", run.path).stdout
    assert "hardly stand for their places" in said and "those on the car by 50\u00a0%" in said


@pytest.mark.parametrize(
    ("share", "words"), [(None, ""), (0.2, ""), (0.21, "21\u00a0% of the evidence lies in tokens")]
)
def test_what_is_said_beside_a_map(share: float | None, words: str) -> None:
    assert row_sentence(share).startswith(words) and bool(row_sentence(share)) == bool(words)


def test_heatmaps_says_it_beside_a_map(runs: Path) -> None:
    """The demo's table with a share in one image, as a transformer's audit would have it."""
    run = open_run(runs / "demo")
    name, other = open_table(run).all_rows()["image"].iloc[:2]
    for part in run.parts():
        table = pq.read_table(part)
        shares = [0.5 if image == name else None for image in table["image"].to_pylist()]
        table = table.drop_columns(["high_norm_share"] if "high_norm_share" in table.column_names else [])
        pq.write_table(table.append_column("high_norm_share", pa.array(shares, pa.float32())), part)
    app = open_page("pages/4_Heatmaps.py", run="demo", image=str(name))
    assert not app.exception and "50\u00a0% of the evidence lies in tokens of high norm" in texts(app)
    assert "tokens of high norm" not in texts(open_page("pages/4_Heatmaps.py", run="demo", image=str(other)))
