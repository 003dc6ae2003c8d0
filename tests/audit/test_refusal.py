"""Maps that place too little: an audit draws none of them and says so, everywhere; others are drawn as ever."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import whalecam as wc
from tests.copies import copied
from tests.pages.test_pages import open_page, texts
from whalecam import network
from whalecam.audit import refusal, remask, run_audit
from whalecam.audit.precision import some_inputs
from whalecam.cli import cli
from whalecam.config import AuditOptions
from whalecam.data import geometry, read_sample
from whalecam.errors import ModelError
from whalecam.explain import cam, propagation
from whalecam.explain.placement import LEAST_DRAWN, placed_share
from whalecam.network import Network
from whalecam.store.open_table import open_table
from whalecam.store.run import Run, open_run
from whalecam.store.table import unpack_maps

SIDE, FIRST = 64, 8


def transformer(classes: int, *, writes: bool) -> Any:
    """A class-token transformer that decides by what patches write, or by what its MLPs make of it."""
    torch.manual_seed(0)
    whole: Any = VisionTransformer(
        img_size=SIDE, patch_size=16, num_classes=classes, embed_dim=32, depth=2, num_heads=2, init_values=None
    )
    for name, value in whole.named_parameters():
        if name.endswith("bias") or name in ("cls_token", "pos_embed"):
            nn.init.zeros_(value)
    nn.init.normal_(whole.head.weight, std=0.5)
    for block in whole.blocks:
        nn.init.zeros_(block.mlp.fc2.weight) if writes else nn.init.normal_(block.mlp.fc2.weight, std=0.5)
    return whole.eval()


@dataclass(frozen=True)
class Audited:
    """A network and the run of its audit."""

    model: Network
    run: Run
    note: str


def called(*words: object) -> str:
    """What a verb prints, without a process of its own."""
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def audited(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Audited]:
    """By whether its patches write what it decides by: a network audited on the first images."""
    folder, demo = tmp_path_factory.mktemp("refusal"), open_run(prepared / "runs" / "demo")
    data, masks = run_audit.open_data(demo), str(prepared / "pictures" / "masks")
    made = {}
    for writes in (True, False):
        module = transformer(len(demo.manifest.classes), writes=writes)
        model = wc.open_model(module, classes=demo.manifest.classes, size=SIDE)
        run = wc.Run.from_model(model, data, folder / "runs" / f"writes-{writes}")
        done = run_audit.run_audit(run, data, AuditOptions(masks=masks, limit=FIRST), model=model)
        made[writes] = Audited(model, run, done.note)
    return made


def test_maps_of_what_patches_wrote_are_drawn(audited: dict[bool, Audited]) -> None:
    run = audited[True].run
    assert "No maps" not in audited[True].note
    assert run.has_maps and run.manifest.exactness == "exact_here" and "refused_maps" not in run.metrics()
    assert open_table(run).all_rows()["attention_score"].notna().any()
    assert "would account for" not in called("info", run.path)


def test_maps_that_place_too_little_are_refused_and_it_is_said(audited: dict[bool, Audited]) -> None:
    run = audited[False].run
    assert "No maps: where" in audited[False].note and "would account for" in audited[False].note
    share = run.metrics()["refused_maps"]
    assert share < LEAST_DRAWN and not run.has_maps and run.manifest.exactness == "none"
    rows = open_table(run).all_rows()
    assert rows["attention_score"].isna().all() and rows["reliance_swap"].notna().any()
    assert run.has_positions, "its features can be embedded and its last layer fitted, as before"
    info = called("info", run.path)
    assert f"would account for {100 * max(share, 0):.0f}\u00a0%" in info and "--maps propagation" in info
    assert json.loads(called("info", run.path, "--json"))["exactness"] == "none"


def test_overview_says_why_there_are_no_maps(audited: dict[bool, Audited], monkeypatch: pytest.MonkeyPatch) -> None:
    run = audited[False].run
    monkeypatch.setenv("WHALECAM_RUNS", str(run.path.parent))
    app = open_page(None, run=run.name)
    assert not app.exception and "There are no maps" in texts(app) and "--maps propagation" in texts(app)
    assert "would account for" not in texts(open_page(None, run=audited[True].run.name))


def test_the_share_is_that_of_the_maps_themselves(audited: dict[bool, Audited]) -> None:
    """The networks as they are asked, against the sums of their maps over a few images, one at a time."""
    for writes, each in audited.items():
        data, model = run_audit.open_data(each.run), each.model
        share = refusal.share_of(model, data)
        inputs = some_inputs(model, data.good())
        assert share is not None and inputs is not None and (share >= LEAST_DRAWN) == writes
        slow = []
        for pixels in inputs:
            with torch.no_grad():
                drawn = cam.explain(model.head, model.look(pixels[None]))
            slow.append(placed_share(drawn.maps[0].numpy(), drawn.logits[0].double().numpy()))
        assert share == pytest.approx(sorted(slow)[len(slow) // 2 - 1] / 2 + sorted(slow)[len(slow) // 2] / 2, abs=1e-3)


def test_other_networks_are_not_asked(prepared: Path) -> None:
    demo = open_run(prepared / "runs" / "demo")
    model = network.from_spec(demo.manifest.network, demo.load_checkpoint())
    assert refusal.share_of(model, run_audit.open_data(demo)) is None


def test_a_table_never_mixes_drawn_and_refused_maps(
    audited: dict[bool, Audited], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit of a version that drew them all starts anew; asked for again, nothing is done twice."""
    run, model = audited[False].run, audited[False].model
    data, options = run_audit.open_data(run), AuditOptions.stored({**run.manifest.audit, "limit": FIRST})
    assert run_audit.run_audit(run, data, options, model=model).new == 0
    monkeypatch.setattr(refusal, "LEAST_DRAWN", -1e9)
    drawn = run_audit.run_audit(run, data, options, model=model)
    assert drawn.restarted and drawn.new == FIRST and run.has_maps and "refused_maps" not in run.metrics()
    monkeypatch.undo()
    again = run_audit.run_audit(run, data, options, model=model)
    assert again.restarted and again.new == FIRST and not run.has_maps and "refused_maps" in run.metrics()


def test_occlusion_is_not_refused(audited: dict[bool, Audited], tmp_path: Path) -> None:
    run = open_run(copied(audited[False].run.path, tmp_path / "copy"))
    options = replace(AuditOptions.stored(run.manifest.audit), maps="occlusion", limit=2, background_test="none")
    done = run_audit.run_audit(run, run_audit.open_data(run), options, model=audited[False].model)
    assert done.restarted and run.has_maps and run.manifest.exactness == "approximate"
    assert "refused_maps" not in run.metrics() and "Occlusion maps" in done.note


def test_a_corrected_mask_brings_no_map_back(audited: dict[bool, Audited], tmp_path: Path) -> None:
    run = open_run(copied(audited[False].run.path, tmp_path / "copy"))
    data = run_audit.open_data(run)
    row = open_table(run).all_rows().iloc[0]
    mask = np.zeros((int(row["height"]), int(row["width"])), np.uint8)
    mask[mask.shape[0] // 4 : -mask.shape[0] // 4, mask.shape[1] // 4 : -mask.shape[1] // 4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    remask.remask(run, data, str(row["image"]), tmp_path / "mask.png", reviewer="ana", model=audited[False].model)
    after = run.row_of(str(row["image"])).to_pylist()[0]
    assert after["mask_source"] == "given" and after["attention_score"] is None and after["maps"] is None


def test_propagated_maps_of_a_refused_network_are_drawn_of_all_layers(
    audited: dict[bool, Audited], tmp_path: Path
) -> None:
    """Asked for by name, in the table, with a corrected mask, and where the run is opened again."""
    run, model = open_run(copied(audited[False].run.path, tmp_path / "copy")), audited[False].model
    data, options = run_audit.open_data(run), AuditOptions.stored({**run.manifest.audit, "maps": "propagation"})
    done = run_audit.run_audit(run, data, replace(options, limit=FIRST), model=model)
    assert done.restarted and done.new == FIRST and run.has_maps and run.manifest.exactness == "exact_here"
    assert "backward passes more an image, one for each class" in done.note and "refused_maps" not in run.metrics()
    rows = open_table(run).all_rows()
    assert rows["attention_score"].notna().any() and float(rows["completeness_error"].max()) < 1e-3
    first = rows.iloc[0]
    pixels = geometry.to_input(
        read_sample(data.table.set_index("image").loc[first["image"], "path"], "a").pixels, SIDE, model.resize
    )
    drawn = propagation.explain(model, model.batch(pixels[None]))
    stored = run.row_of(str(first["image"])).to_pylist()[0]
    maps = unpack_maps(stored["maps"], stored["map_height"], stored["map_width"])
    assert maps is not None and np.allclose(maps, drawn.maps[0].numpy(), rtol=2e-3, atol=2e-3)
    mask = np.zeros((int(first["height"]), int(first["width"])), np.uint8)
    mask[: len(mask) // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    remask.remask(run, data, str(first["image"]), tmp_path / "mask.png", reviewer="ana", model=model)
    after = run.row_of(str(first["image"])).to_pylist()[0]
    assert after["mask_source"] == "given" and after["maps"] == stored["maps"]
    assert after["attention_score"] != stored["attention_score"]


def test_propagation_is_refused_for_other_networks_before_rows_are_forgotten(prepared: Path, tmp_path: Path) -> None:
    run = open_run(copied(prepared / "runs" / "demo", tmp_path / "demo"))
    rows = len(run.audited())
    said = CliRunner().invoke(cli, ["audit", str(run.path), "--maps", "propagation"])
    assert isinstance(said.exception, ModelError) and "by a class token alone" in str(said.exception)
    assert len(open_run(run.path).audited()) == rows > 0 and open_run(run.path).has_maps
