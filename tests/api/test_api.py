"""The public API: README's example on real photographs, maps of networks in memory, and what an import costs."""

import copy
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torchvision
from torch import nn

import whalecam as wc
from tests.commandline import whalecam
from tests.conftest import ROOT
from tests.docs.documentation import python_blocks
from whalecam.cli import cli
from whalecam.network.modules import cut
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Journal
from whalecam.store.run import open_run as open_stored

SIZE = 96


@pytest.fixture
def photographs(real_data: Path, tmp_path: Path) -> Path:
    """A folder with train.csv, images/ and masks/ as README's example names them, of two labels."""
    rows = pd.read_csv(real_data / "photos.csv", dtype=str, keep_default_na=False)
    few = pd.concat([rows[rows["species"] == name].head(12) for name in ("bottlenose_dolphin", "sperm_whale")])
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in few["image"]:
        shutil.copy(real_data / "photos" / name, tmp_path / "images")
        shutil.copy(real_data / "pseudo_masks" / f"{Path(name).stem}.png", tmp_path / "masks")
    gone = pd.DataFrame([{"image": "gone.jpg", "species": "sperm_whale"}])
    pd.concat([few, gone]).fillna("").to_csv(tmp_path / "train.csv", index=False)
    return tmp_path


def test_readmes_example_runs_as_it_stands(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photographs)
    names: dict[str, object] = {}
    (example,) = python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    exec(compile(example.code, "README.md", "exec"), names)  # noqa: S102 - our own file
    run, table = names["run"], names["table"]
    assert isinstance(run, wc.Run) and isinstance(table, pd.DataFrame)
    assert run.folds == 3 and run.path.resolve() == photographs / "runs" / "mine"
    assert table["image"].tolist() == sorted(pd.read_csv("train.csv")["image"])
    assert table["mask_source"].eq("given").sum() == 24 and table["reliance_probability"].notna().sum() > 12
    assert (photographs / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    data = names["data"]
    assert isinstance(data, wc.Dataset)
    assert data.problems.to_numpy().tolist() == [["gone.jpg", "sperm_whale", "missing file"]]


def test_an_import_loads_neither_torch_nor_streamlit_and_names_are_found_when_used() -> None:
    code = (
        "import sys, whalecam\n"
        "heavy = {'torch', 'streamlit', 'fastai', 'pandas', 'duckdb'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "print(whalecam.TrainOptions().folds, sorted({'torch', 'streamlit'} & set(sys.modules)))\n"
        "print(callable(whalecam.audit), callable(whalecam.compare))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == ["[]", "1 []", "True True"]


def test_every_public_name_is_there_and_no_other() -> None:
    assert dir(wc) == sorted(wc.__all__)
    assert all(getattr(wc, name) is not None for name in wc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'find_leaks'"):
        _ = wc.find_leaks


@pytest.mark.parametrize("first", ["whalecam.audit.run_audit", "whalecam.explain.cam", "whalecam.cli", "whalecam.api"])
def test_a_package_never_takes_the_place_of_the_function_of_its_name(first: str) -> None:
    code = (
        f"import importlib, whalecam; importlib.import_module({first!r})\n"
        "print([type(getattr(whalecam, name)).__name__ for name in ('audit', 'explain')])\n"
        "from whalecam import audit; from whalecam.explain import cam; import whalecam.audit.pipeline\n"
        "print(callable(audit), callable(whalecam.explain), cam.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == ["['function', 'function']", "True True whalecam.explain.cam"]


@pytest.mark.parametrize("before", ["", "import whalecam; whalecam.explain, whalecam.audit\n", "import whalecam.api\n"])
def test_the_packages_named_like_functions_are_imported_in_every_way(before: str) -> None:
    code = (
        f"{before}import whalecam.explain.cam as cam, whalecam.audit.pipeline as pipeline\n"
        "import whalecam.explain.score\n"
        "from whalecam.explain import cam as other\n"
        "import inspect, whalecam\n"
        "print(cam.__name__, cam is other is whalecam.explain.cam, pipeline.__name__)\n"
        "print(whalecam.explain.score.__name__, whalecam.explain is whalecam.api.explain)\n"
        "print(list(inspect.signature(whalecam.explain).parameters)[:2])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == [
        "whalecam.explain.cam True whalecam.audit.pipeline",
        "whalecam.explain.score True",
        "['model', 'images']",
    ]


def test_a_run_gives_its_table_and_summary(runs: Path, tmp_path: Path) -> None:
    run = wc.open_run(runs / "demo")
    plain = open_table(open_stored(runs / "demo"))
    pd.testing.assert_frame_equal(run.to_pandas(), plain.all_rows())
    assert run.summary() == plain.overview()
    strict = run.to_pandas(wc.Thresholds(false_rate=0.01))
    assert (strict["assessment"] != run.to_pandas()["assessment"]).any()
    assert "no audited" not in run.report(tmp_path / "r.html", cases=2).read_text(encoding="utf-8")
    with pytest.raises(wc.RunError):
        wc.open_run(runs / "nothing")


def test_a_verdict_is_signed_as_by_the_command(runs: Path) -> None:
    run = wc.open_run(runs / "demo")
    first, second, third = run.to_pandas()["image"].head(3)
    level = wc.Thresholds(attention=2.0, false_rate=0.01)
    done = run.review([first, second], "flag", reviewer=" Ana ", reason="sky", thresholds=level)
    assert (done.images, done.unchanged) == ((first, second), ())
    again = run.review([second, third], "flag", reviewer="Ana", reason="sky", thresholds=level)
    assert (again.images, again.unchanged) == ((third,), (second,))
    words = ["review", run.path, third, "--verdict", "keep", "--reviewer", "Ana", "--attention-threshold", "2"]
    assert whalecam(*words, "--false-rate", "0.01").returncode == 0
    latest = Journal.of(run).latest().set_index("image")
    assert latest.loc[[first, second, third], "verdict"].tolist() == ["flag", "flag", "keep"]
    noted = latest.loc[[first, second, third], ["reviewer", "attention_threshold", "reliance_threshold", "false_rate"]]
    assert noted.to_numpy().tolist() == [["Ana", 2.0, 0.25, 0.01]] * 3
    assert run.summary()["reviewed"] == 3 and run.summary()["flagged"] == 2
    refused = [([first, "gone.jpg"], "keep", "Ana"), ([first], "maybe", "Ana"), ([first], "keep", " ")]
    for images, verdict, reviewer in refused:
        with pytest.raises(wc.ReviewError):
            run.review(images, verdict, reviewer=reviewer)
    assert Journal.of(run).latest().set_index("image").loc[first, "verdict"] == "flag"


def test_remedies_are_simulated_and_a_run_is_made_with_one(runs: Path, tmp_path: Path) -> None:
    run = wc.open_run(runs / "demo")
    simulated = wc.simulate(run, ["head"], limit=16)
    assert set(simulated["figures"]) == {"present", "head"} and simulated["pictures"] <= 16
    better = wc.retrain(run, "head", tmp_path / "better")
    assert isinstance(better, wc.Run) and better.manifest.train["remedy"] == "head"
    assert better.audited() == run.audited() and run.manifest.train["remedy"] == "none"
    assert "accuracy" in {difference.metric for difference in wc.compare(run, better).differences["better"]}
    refused: tuple[tuple[str, Path, float | None, str], ...] = (
        ("none", better.path, None, "a run in"),
        ("bleach", tmp_path / "x", None, "no remedy 'bleach'"),
        ("head", tmp_path / "x", 1.0, "weight is of the remedy restrict"),
    )
    for remedy, path, weight, words in refused:
        with pytest.raises(wc.WhalecamError, match=words):
            wc.retrain(run, remedy, path, weight=weight)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("verb", "renamed"), [("simulate", {"wanted": "remedies"}), ("retrain", {"out": "path"})])
def test_remedies_have_the_options_and_defaults_of_the_commands(verb: str, renamed: dict[str, str]) -> None:
    given = {
        renamed.get(str(option.name), str(option.name)): option.get_default(click.Context(cli.commands[verb]))
        for option in cli.commands[verb].params
        if option.name not in ("as_json", "run")
    }
    parameters = inspect.signature(getattr(wc, verb)).parameters
    assert set(parameters) - {"run", "report"} == set(given)
    for name, default in given.items():
        if parameters[name].default not in (None, inspect.Parameter.empty):
            assert parameters[name].default == default, name


def test_images_are_laid_out_on_a_plane(runs: Path) -> None:
    pytest.importorskip("umap")
    run = wc.open_run(runs / "demo")
    placed = wc.embed(run)
    assert list(placed) == ["image", "x", "y"] and placed["image"].is_unique and len(placed) > 100
    assert np.isfinite(placed[["x", "y"]].to_numpy()).all() and set(placed["image"]) <= run.audited()


def test_an_option_that_there_is_not_is_named(runs: Path, tmp_path: Path) -> None:
    run = wc.open_run(runs / "demo")
    with pytest.raises(TypeError, match=r"no option 'mask'\. There are: masks, boxes"):
        wc.audit(run, mask="masks/")
    data = wc.open_dataset(run.manifest.dataset.csv, run.manifest.dataset.images)
    with pytest.raises(TypeError, match="no option 'fold'"):
        wc.train(data, tmp_path / "new", fold=3)
    assert not (tmp_path / "new").exists()
    assert wc.audit(run, limit=4, masks=run.manifest.audit["masks"]).new == 0


def test_a_check_finds_what_the_command_finds(prepared: Path) -> None:
    data = wc.open_dataset(prepared / "pictures" / "train.csv")
    found = wc.check(data)
    assert "look_alike" in {finding.code for finding in found}
    severities = [("high", "medium", "low", "info").index(finding.severity) for finding in found]
    assert severities == sorted(severities)


class Toy(nn.Module):
    """Two filters that read red and blue, averaged, and a linear layer with known weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 2, 4, stride=4, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.out = nn.Linear(2, 2)
        with torch.no_grad():
            self.body.weight.zero_()
            self.body.weight[0, 0], self.body.weight[1, 2] = 1 / 16, 1 / 16
            self.out.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 5.0]]))
            self.out.bias.copy_(torch.tensor([0.25, -1.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(self.pool(self.body(images)).flatten(1))
        return out


def test_maps_of_a_toy_network_by_hand() -> None:
    images = torch.zeros(1, 3, 8, 8)
    images[0, 0, :4, :4], images[0, 2, 4:, 4:] = 1, 0.5
    cams = wc.explain(Toy(), images)
    # The mean over 2 x 2 positions: red adds 3 / 4 at the first, blue 5 * 0.5 / 4 at the last.
    by_hand = np.array([[[0.75, 0], [0, 0]], [[0, 0], [0, 0.625]]])
    np.testing.assert_allclose(cams.maps[0], by_hand, atol=1e-6)
    np.testing.assert_allclose(cams.bias[0], [0.25, -1.0])
    np.testing.assert_allclose(cams.logits[0], [1.0, -0.375], atol=1e-6)
    assert cams.exactness == "exact" and cams.completeness_error.max() < 1e-6


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name.startswith("timm/"):
        module: nn.Module = timm.create_model(name.removeprefix("timm/"), pretrained=False, num_classes=5)
    else:
        module = torchvision.models.get_model(name, weights=None, num_classes=5)
    return module


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "densenet121", "swin_t", "timm/resnet10t", "timm/mobilenetv3_small_050"]
)
def test_maps_of_networks_in_memory_add_up_to_their_own_logits(name: str) -> None:
    module = build(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    images = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    cams = wc.explain(module, images)
    assert module.training, "the module stays as it is"
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    with torch.no_grad():
        logits = copy.deepcopy(module).eval()(images).numpy()
    np.testing.assert_allclose(cams.logits, logits, atol=1e-4 * np.abs(logits).max())
    if cams.exactness != "approximate":
        whole = cams.maps.sum(axis=(2, 3)) + cams.bias
        np.testing.assert_allclose(whole, logits, atol=1e-4 * np.abs(logits).max())
    assert cams.maps.shape[:2] == (3, 5) and cams.exactness in ("exact", "exact here", "approximate")


def test_a_resnets_map_is_the_cam_of_zhou() -> None:
    module = build("resnet18").eval()
    images = torch.rand(1, 3, SIZE, SIZE)
    features = nn.Sequential(*list(module.children())[:-2])
    with torch.no_grad():
        activations = features(images)[0].numpy()
    weights = module.fc.weight.detach().numpy()  # type: ignore[union-attr, operator]
    by_hand = np.einsum("ck,kij->cij", weights, activations) / activations[0].size
    np.testing.assert_allclose(wc.explain(module, images).maps[0], by_hand, atol=1e-5)


@pytest.mark.parametrize("name", ["vit_b_16", "timm/vit_tiny_patch16_224"])
def test_a_network_that_cannot_be_cut_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(wc.ModelError, match=r"Sequential\(features, head\)|takes no images"):
        cut(build(name), SIZE)


def test_a_network_in_memory_explains_files_and_arrays_alike(prepared: Path) -> None:
    paths = sorted((prepared / "pictures" / "images").iterdir())[:3]
    model = wc.open_model(build("mobilenet_v2"), classes="abcde", size=SIZE)
    from PIL import Image

    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    np.testing.assert_allclose(wc.explain(model, paths).maps, wc.explain(model, arrays).maps, atol=1e-5)
    with pytest.raises(wc.ModelError, match="5 outputs, but 2 classes"):
        wc.open_model(build("mobilenet_v2"), classes=("a", "b"), size=SIZE)
    with pytest.raises(TypeError, match="are paths or uint8 arrays"):
        wc.explain(model, torch.zeros(1, 3, SIZE, SIZE))
    with pytest.raises(wc.DatasetError, match="uint8 RGB"):
        wc.explain(model, [np.zeros((4, 4), np.uint8)])
    with pytest.raises(ValueError, match="no images"):
        wc.explain(model, [])
