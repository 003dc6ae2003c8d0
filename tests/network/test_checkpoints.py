"""Checkpoints as others write them: libraries, wrappers, training loops; what does not fit is named."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

import whalecam as wc
from tests.commandline import whalecam
from tests.network.test_network import logits, varied
from whalecam import network
from whalecam.errors import ModelError
from whalecam.network.bodies import build_whole
from whalecam.network.checkpoint_files import LIGHTNINGS, content_of
from whalecam.network.checkpoints import class_names, class_names_of
from whalecam.network.exactness import exactness
from whalecam.network.heads import HEADS
from whalecam.network.training import _channels
from whalecam.store.run import open_run

CLASSES = ("beluga", "fin_whale", "orca")
SIDE = 64
State = Mapping[str, Tensor]


def whole(library: str, arch: str, classes: int = 3) -> nn.Module:
    """A classifier of the library with random weights, none of them zero or one as a fresh norm's are."""
    torch.manual_seed(0)
    build: Any = torchvision.models.get_model if library == "torchvision" else timm.create_model
    model: nn.Module = varied(build(arch, num_classes=classes))
    return model


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "weights.pth")
    return folder / "weights.pth"


def under(before: str, state: State) -> dict[str, Tensor]:
    return {before + name: value for name, value in state.items()}


def same(model: network.Network, theirs: nn.Module, within: float = 1e-4) -> bool:
    pixels = torch.rand(3, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = theirs(pixels)
        return bool((logits(model, pixels) - expected).abs().max() <= within * expected.abs().max())


FORMS: Mapping[str, Callable[[State], object]] = {
    "plain": dict,
    "torchvision's references": lambda state: {"model": state, "optimizer": {"lr": 0.1}, "epoch": 3},
    "timm": lambda state: {"epoch": 1, "arch": "resnet18", "state_dict": state, "state_dict_ema": under("x", state)},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "net": lambda state: {"net": state, "acc": 91.0},
    "two deep": lambda state: {"model": {"state_dict": state}},
    "DataParallel": lambda state: under("module.", state),
    "compiled": lambda state: under("_orig_mod.", state),
    "compiled and distributed": lambda state: {"model": under("module._orig_mod.", state)},
    "Lightning": lambda state: {
        "pytorch-lightning_version": "2.5",
        "state_dict": under("model.", state) | {"loss.weight": torch.ones(3)},
        "hyper_parameters": {"lr": 0.1},
    },
    "Lightning around a module": lambda state: {"state_dict": under("net.backbone.", state)},
    "half precision": lambda state: {name: value.half() if value.ndim else value for name, value in state.items()},
    "without counters": lambda state: {name: value for name, value in state.items() if "num_batches" not in name},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_resnet_is_read_whatever_lies_around_its_weights(form: str, tmp_path: Path) -> None:
    theirs = whole("torchvision", "resnet18")
    model = network.load_checkpoint(
        saved(FORMS[form](theirs.state_dict()), tmp_path), CLASSES, arch="resnet18", size=SIDE
    ).network
    assert exactness(model.head) == "exact"
    assert same(model, theirs, 1e-2 if form == "half precision" else 1e-5)


def test_safetensors_of_a_library_are_read(tmp_path: Path) -> None:
    theirs = whole("torchvision", "resnet18")
    save_file(dict(theirs.state_dict()), tmp_path / "w.safetensors")
    assert same(
        network.load_checkpoint(tmp_path / "w.safetensors", CLASSES, arch="resnet18", size=SIDE).network, theirs, 1e-5
    )


def test_the_architecture_that_the_file_names_is_used_where_no_other_is(tmp_path: Path) -> None:
    theirs = whole("timm", "resnet18d")
    path = saved({"arch": "resnet18d", "state_dict": theirs.state_dict()}, tmp_path)
    assert same(network.load_checkpoint(path, CLASSES, arch=None, size=SIDE).network, theirs)
    with pytest.raises(ModelError, match="do not fit resnet34"):
        network.load_checkpoint(path, CLASSES, arch="resnet34", size=SIDE)


@pytest.mark.parametrize("home", LIGHTNINGS)
def test_lightnings_hyperparameters_are_no_code(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written as by Lightning, read where Lightning is not installed."""

    class AttributeDict(dict[str, Any]):
        pass

    AttributeDict.__module__, AttributeDict.__qualname__ = home, "AttributeDict"
    module = ModuleType(home)
    vars(module)["AttributeDict"] = AttributeDict
    with monkeypatch.context() as patch:
        parts = home.split(".")
        for at in range(1, len(parts)):
            patch.setitem(sys.modules, ".".join(parts[:at]), ModuleType(".".join(parts[:at])))
        patch.setitem(sys.modules, home, module)
        path = saved({"state_dict": {"a": torch.ones(2)}, "hyper_parameters": AttributeDict(lr=0.1)}, tmp_path)
    assert content_of(path)["hyper_parameters"] == {"lr": 0.1}


def test_what_a_file_holds_beside_the_network_is_said(tmp_path: Path) -> None:
    state = whole("torchvision", "resnet18").state_dict()
    content = {"state_dict": under("model.", state) | {"loss.weight": torch.ones(3)}, "state_dict_ema": dict(state)}
    loaded = network.load_checkpoint(saved(content, tmp_path), CLASSES, arch="resnet18", size=SIDE)
    assert loaded.notes == (
        "Weights of the file that are not used: those under state_dict_ema.",
        "Weights that no logit depends on, and that are not used: loss.weight.",
    )
    assert network.load_checkpoint(saved(state, tmp_path), CLASSES, arch="resnet18", size=SIDE).notes == ()


@pytest.mark.parametrize(
    ("library", "arch", "size", "reason"),
    [
        ("timm", "cait_xxs24_224", 64, "cannot be cut before its pooling"),
        ("timm", "xcit_nano_12_p16_224", 64, "cannot be cut before its pooling"),
        ("torchvision", "vit_b_32", 100, "cannot be built for 100 px"),
    ],
)
def test_a_network_without_a_valid_map_is_refused_with_its_reason(
    library: str, arch: str, size: int, reason: str, tmp_path: Path
) -> None:
    theirs = whole(library, arch) if size == 100 else varied(build_whole(arch, 3, size))
    with pytest.raises(ModelError, match=reason):
        network.load_checkpoint(saved(theirs.state_dict(), tmp_path), CLASSES, arch=arch, size=size)


def test_positions_for_another_size_are_named(tmp_path: Path) -> None:
    path = saved(whole("timm", "vit_tiny_patch16_224").state_dict(), tmp_path)
    with pytest.raises(ModelError, match=r"pos_embed is \(1, 197, 192\), not \(1, 17, 192\).*own size"):
        network.load_checkpoint(path, CLASSES, arch="vit_tiny_patch16_224", size=SIDE)


def test_names_that_do_not_fit_are_named_on_both_sides(tmp_path: Path) -> None:
    path = saved(whole("timm", "seresnet18").state_dict(), tmp_path)
    with pytest.raises(ModelError, match=r"do not fit resnet18.*Unexpected: layer1\.0\.se.* and \d+ more"):
        network.load_checkpoint(path, CLASSES, arch="resnet18", size=SIDE)


def test_another_number_of_classes_is_said(tmp_path: Path) -> None:
    path = saved(whole("torchvision", "resnet18", 5).state_dict(), tmp_path)
    with pytest.raises(ModelError, match="has 5 outputs, but 3 classes are named"):
        network.load_checkpoint(path, CLASSES, arch="resnet18", size=SIDE)


def test_a_width_that_differs_is_no_number_of_classes(tmp_path: Path) -> None:
    path = saved(whole("torchvision", "resnext50_32x4d").state_dict(), tmp_path)
    with pytest.raises(
        ModelError,
        match=r"do not fit resnet50: layer1\.0\.conv1\.weight is \(128, 64, 1, 1\).*They fit resnext50_32x4d",
    ):
        network.load_checkpoint(path, CLASSES, arch="resnet50", size=SIDE)


def test_a_name_that_is_ours_and_timms_is_not_guessed(tmp_path: Path) -> None:
    path = saved(whole("timm", "efficientnet_lite0").state_dict(), tmp_path)
    with pytest.raises(ModelError, match="pads as TensorFlow does"):
        network.load_checkpoint(path, CLASSES, arch="efficientnet_lite0", size=SIDE)


@pytest.mark.parametrize("kind", HEADS)
def test_the_width_of_a_body_is_read_from_what_it_gives(kind: str) -> None:
    body = nn.Conv2d(3, 8, 16, 16)
    model = network.Network(
        body, HEADS[kind](8, 3).eval(), "any", CLASSES, SIDE, "squish", (0.5,) * 3, (0.5,) * 3, kind
    )
    assert _channels(model) == 8


def test_a_library_checkpoint_becomes_a_run_that_others_start_from(prepared: Path, tmp_path: Path) -> None:
    pictures = prepared / "pictures"
    names = wc.open_dataset(pictures / "train.csv", pictures / "images").classes()
    theirs = whole("torchvision", "resnet18", len(names))
    path = saved({"state_dict": under("model.", theirs.state_dict())}, tmp_path)
    source = ["train", pictures / "train.csv", pictures / "images"]
    loaded = [*source, "--run", tmp_path / "a", "--checkpoint", path, "--size", SIDE]
    assert whalecam(*loaded).returncode == 0
    model = network.from_spec(open_run(tmp_path / "a").manifest.network, open_run(tmp_path / "a").load_checkpoint())
    assert same(model, theirs, 1e-5) and model.classes == names
    started = [*source, "--run", tmp_path / "b", "--from", tmp_path / "a", "--recipe", "linear-probe", "--size", SIDE]
    assert whalecam(*started).returncode == 0
    again = network.from_spec(open_run(tmp_path / "b").manifest.network, open_run(tmp_path / "b").load_checkpoint())
    assert torch.equal(again.features.state_dict()["0.weight"], theirs.state_dict()["conv1.weight"])


@pytest.mark.parametrize(("arch", "recipe"), [("resnet18d", "linear-probe"), ("convnext_atto", "fast")])
def test_a_run_started_from_a_loaded_network_of_timm_opens_again(
    arch: str, recipe: str, prepared: Path, tmp_path: Path
) -> None:
    pictures = prepared / "pictures"
    names = wc.open_dataset(pictures / "train.csv", pictures / "images").classes()
    path = saved(whole("timm", arch, len(names)).state_dict(), tmp_path)
    source = ["train", pictures / "train.csv", pictures / "images", "--size", SIDE, "--run"]
    assert whalecam(*source, tmp_path / "a", "--checkpoint", path, "--arch", arch).returncode == 0
    more = ["--epochs", "1", "--batch", "16"] if recipe == "fast" else []
    again = [*source, tmp_path / "b", "--from", tmp_path / "a", "--recipe", recipe, "--min-per-class", "8", *more]
    assert whalecam(*again).returncode == 0
    run = open_run(tmp_path / "b")
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    assert model.spec() == run.manifest.network and len(model.classes) < len(names)
    other = [*source, tmp_path / "c", "--from", tmp_path / "b", "--recipe", "linear-probe"]
    assert whalecam(*other).returncode == 0, "and that one is a start too"
    assert open_run(tmp_path / "c").manifest.network["way"] == model.way


def test_a_class_token_is_no_start_for_another_head(prepared: Path, tmp_path: Path) -> None:
    pictures = prepared / "pictures"
    names = wc.open_dataset(pictures / "train.csv", pictures / "images").classes()
    path = saved(build_whole("vit_tiny_patch16_224", len(names), SIDE).state_dict(), tmp_path)
    source = ["train", pictures / "train.csv", pictures / "images", "--size", SIDE, "--run"]
    loaded = [*source, tmp_path / "a", "--checkpoint", path, "--arch", "vit_tiny_patch16_224"]
    assert whalecam(*loaded).returncode == 0
    refused = whalecam(*source, tmp_path / "b", "--from", tmp_path / "a", "--recipe", "linear-probe")
    assert refused.returncode == 2 and "classifies one token" in refused.stderr


CONFIG = {"architecture": "resnet18d", "label_names": ["orca", "beluga", "fin_whale"]}
FRAME = {"input_size": [3, 96, 96], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1], "interpolation": "bicubic"}


def test_what_timm_writes_beside_the_weights_is_used_and_said(tmp_path: Path) -> None:
    theirs = whole("timm", "resnet18d")
    save_file(dict(theirs.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"pretrained_cfg": FRAME}))
    loaded = network.load_checkpoint(tmp_path / "model.safetensors", otherwise=CLASSES)
    model = loaded.network
    assert (model.arch, model.classes, model.size) == ("resnet18d", ("orca", "beluga", "fin_whale"), 96)
    assert (model.mean, model.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1)) and same(model, theirs)
    assert loaded.notes == (
        "As the file says: architecture, classes, input side, mean, standard deviation, interpolation.",
        "As timm's configuration of resnet18d says: way to resize, crop share.",
    )
    assert model.resize == "crop 0.875 bicubic"
    stated = network.load_checkpoint(tmp_path, otherwise=CLASSES, resize="pad", interpolation="bilinear").network
    assert stated.resize == "pad", "the share is one of timm's crop"
    stated = network.load_checkpoint(tmp_path, otherwise=CLASSES, crop_share=0.8).network
    assert stated.resize == "crop 0.8 bicubic"
    for wrong, words in (({"crop_share": 1.5}, "above 0 and at most 1"), ({"interpolation": "cubic"}, "'cubic'")):
        with pytest.raises(ModelError, match=words):
            network.load_checkpoint(tmp_path, otherwise=CLASSES, **wrong)
    assert network.from_spec(model.spec(), model.tensors()).mean == model.mean


def test_what_a_person_says_stands_above_the_file_and_a_contradiction_is_said(tmp_path: Path) -> None:
    theirs = whole("timm", "resnet18d")
    content = {"arch": "resnet18d", "state_dict": theirs.state_dict(), "class_to_idx": {"a": 0, "c": 2, "b": 1}}
    path = saved(content, tmp_path)
    assert network.load_checkpoint(path, size=SIDE).network.classes == ("a", "b", "c")
    loaded = network.load_checkpoint(path, CLASSES, size=SIDE, otherwise=("x", "y", "z"))
    assert loaded.network.classes == CLASSES
    assert loaded.notes[-1] == "The file has other names for its classes: a, b, c …; yours are used."


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["b", "a"], ("b", "a")),
        (("b", "a"), ("b", "a")),
        ({"0": "b", "1": "a"}, ("b", "a")),
        ({1: "a", 0: "b"}, ("b", "a")),
        ({"a": 1, "b": 0}, ("b", "a")),
        ({"a": 1, "b": 2}, None),
        ({"0": "b", "2": "a"}, None),
        ({"x": "y"}, None),
        ({"0": "LABEL_0", "1": "LABEL_1"}, None),
        (["LABEL_0", "orca"], ("LABEL_0", "orca")),
        ([1, 2], None),
        ([], None),
        ({}, None),
        ("a,b", None),
        (None, None),
    ],
)
def test_class_names_are_read_in_the_order_of_the_outputs(value: object, names: tuple[str, ...] | None) -> None:
    assert class_names(value) == names


def test_a_person_names_classes_by_words_or_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\ufefforca\n\nfin whale, young\n", encoding="utf-8")
    (tmp_path / "names.json").write_text('{"1": "beluga", "0": "orca"}')
    (tmp_path / "none.json").write_text('{"a": "b"}')
    (tmp_path / "broken.json").write_text("[")
    assert class_names_of("orca, beluga ,") == ("orca", "beluga")
    assert class_names_of(str(tmp_path / "names.txt")) == ("orca", "fin whale, young")
    assert class_names_of(str(tmp_path / "names.json")) == ("orca", "beluga")
    with pytest.raises(ModelError, match=r"none\.json names no classes"):
        class_names_of(str(tmp_path / "none.json"))
    with pytest.raises(ModelError, match=r"broken\.json cannot be read as JSON"):
        class_names_of(str(tmp_path / "broken.json"))
    with pytest.raises(ModelError, match="'orca' is named twice"):
        class_names_of("orca,orca")


def test_the_command_line_takes_the_files_size_and_classes_and_says_so(prepared: Path, tmp_path: Path) -> None:
    pictures = prepared / "pictures"
    names = wc.open_dataset(pictures / "train.csv", pictures / "images").classes()
    theirs, turned = whole("timm", "resnet18d", len(names)), list(reversed(names))
    save_file(dict(theirs.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"label_names": turned, "pretrained_cfg": FRAME}))
    source = ["train", pictures / "train.csv", pictures / "images", "--checkpoint", tmp_path / "model.safetensors"]
    said = whalecam(*source, "--run", tmp_path / "a").stdout
    assert "As the file says: architecture, classes, input side" in said
    spec = open_run(tmp_path / "a").manifest.network
    assert (spec["size"], spec["classes"]) == (96, turned)
    (tmp_path / "names.txt").write_text("\n".join(names))
    said = whalecam(*source, "--run", tmp_path / "b", "--size", SIDE, "--classes", tmp_path / "names.txt").stdout
    spec = open_run(tmp_path / "b").manifest.network
    assert (spec["size"], tuple(spec["classes"])) == (SIDE, names) and "has other names for its classes" in said
