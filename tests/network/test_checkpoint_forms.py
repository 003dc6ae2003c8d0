"""Checkpoints in the forms that people have load by command line and Python; wrong ones are refused in a line each."""

import argparse
import json
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import whalecam as wc
from tests.commandline import whalecam
from tests.network.test_network import logits, varied
from whalecam import network
from whalecam.errors import ModelError
from whalecam.store.run import open_run

CLASSES = ("beluga", "fin_whale", "orca")
SIDE = 64
State = Mapping[str, Tensor]


def resnet(classes: int = len(CLASSES)) -> nn.Module:
    torch.manual_seed(0)
    return varied(torchvision.models.resnet18(num_classes=classes))


def under(before: str, state: State) -> dict[str, Tensor]:
    return {before + name: value for name, value in state.items()}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A data set of three grey images."""
    (tmp_path / "images").mkdir()
    for number, name in enumerate(CLASSES):
        Image.new("RGB", (8, 8), (60 * number,) * 3).save(tmp_path / "images" / f"{name}.jpg")
    rows = ["image,label,group", *(f"{name}.jpg,{name},{number}" for number, name in enumerate(CLASSES))]
    (tmp_path / "train.csv").write_text("\n".join(rows))
    return tmp_path / "train.csv"


# ------------------------------------------------------------------------------------------------ the right forms


def saved(content: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(content, folder / "weights.pth")
        return folder / "weights.pth"

    return write


def safetensors(folder: Path) -> Path:
    save_file(dict(resnet().state_dict()), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def timms_folder(folder: Path) -> Path:
    """As `timm.models.save_for_hf` writes it."""
    save_file(dict(timms().state_dict()), folder / "model.safetensors")
    frame = {"input_size": [3, SIDE, SIDE], "crop_pct": 1.0, "interpolation": "bicubic"}
    config = {"architecture": "resnet18d", "label_names": list(CLASSES), "pretrained_cfg": frame}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def timms() -> nn.Module:
    torch.manual_seed(0)
    return varied(timm.create_model("resnet18d", num_classes=len(CLASSES)))


def timms_training() -> dict[str, Any]:
    """As timm's CheckpointSaver writes it, options of the training included."""
    options = argparse.Namespace(model="resnet18d", img_size=SIDE, crop_pct=None, interpolation="", mean=None)
    return {"epoch": 3, "arch": "resnet18d", "state_dict": timms().state_dict(), "version": 2, "args": options}


def fastais() -> nn.Module:
    """A learner's model: body and head, the head of its own two layers."""
    body = nn.Sequential(*list(resnet().children())[:-2])
    return varied(nn.Sequential(body, network.fastai_head(512, len(CLASSES))))


def fastais_file(folder: Path) -> Path:
    """As `Learner.save` writes it: the state of the optimizer beside the model's."""
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    pairs = [(torch.zeros(3, SIDE, SIDE), 0)] * 2
    learner = Learner(DataLoaders.from_dsets(pairs, pairs, bs=2), fastais(), nn.CrossEntropyLoss(), path=folder)
    learner.create_opt()
    return Path(learner.save("learner"))


def timm_wrapped(folder: Path) -> Path:
    """As transformers writes a network of timm."""
    save_file(under("timm_model.", timms().state_dict()), folder / "model.safetensors")
    config = {"architectures": ["TimmWrapperForImageClassification"], "architecture": "resnet18d"}
    (folder / "config.json").write_text(json.dumps(config | {"label_names": list(CLASSES)}))
    return folder


def state() -> dict[str, Tensor]:
    return dict(resnet().state_dict())


RIGHT: Mapping[str, Callable[[], Callable[[Path], Path]]] = {
    "torchvision": lambda: saved(state()),
    "safetensors": lambda: safetensors,
    "timm's folder for Hugging Face": lambda: timms_folder,
    "timm's training": lambda: saved(timms_training()),
    "fastai": lambda: saved(fastais().state_dict()),
    "fastai's Learner.save": lambda: fastais_file,
    "timm in transformers": lambda: timm_wrapped,
    "state_dict": lambda: saved({"state_dict": state(), "best_acc": np.float64(91.5)}),
    "model": lambda: saved({"model": state(), "optimizer": {"lr": 0.1}, "epoch": 3}),
    "model_state_dict": lambda: saved({"model_state_dict": state()}),
    "net": lambda: saved({"net": state(), "acc": 91.0}),
    "ema": lambda: saved({"ema": under("module.", state())}),
    "state_dict_ema": lambda: saved({"epoch": 1, "state_dict_ema": state()}),
    "DataParallel": lambda: saved(under("module.", state())),
    "compiled": lambda: saved({"model": under("module._orig_mod.", state())}),
    "Lightning": lambda: saved({"state_dict": under("model.", state()) | {"loss.weight": torch.ones(3)}}),
    "a backbone and its encoder": lambda: saved({"state_dict": under("backbone.encoder.", state())}),
    "half precision": lambda: saved({name: value.half() if value.ndim else value for name, value in state().items()}),
}


def expected(form: str) -> nn.Module:
    """The network that a form holds, in its own library."""
    return fastais() if form.startswith("fastai") else timms() if form.startswith("timm") else resnet()


@pytest.mark.parametrize("form", RIGHT)
def test_a_checkpoint_loads_by_command_line_and_python(form: str, table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    path = RIGHT[form]()(tmp_path / "file")
    model = wc.open_model(path, classes=CLASSES, size=SIDE)
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        wanted = expected(form)(pixels)
    within = 1e-2 if form == "half precision" else 1e-4
    assert float((logits(model, pixels) - wanted).abs().max() / wanted.abs().max()) <= within
    said = whalecam(
        "train", table, tmp_path / "images", "--run", tmp_path / "run", "--checkpoint", path, "--size", SIDE
    )
    assert said.returncode == 0, said.stderr
    run = open_run(tmp_path / "run")
    again = network.from_spec(run.manifest.network, run.load_checkpoint())
    assert again.classes == CLASSES and torch.equal(logits(again, pixels), logits(model, pixels))


# ------------------------------------------------------------------------------------------------- the wrong forms


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def pickled(content: object, name: str = "weights.pth") -> Callable[[Path], Path]:
    """A module as torch.save pickles it, code and all."""

    def write(folder: Path) -> Path:
        torch.save(content, folder / name)
        return folder / name

    return write


def truncated(folder: Path) -> Path:
    path = saved(state())(folder)
    path.write_bytes(path.read_bytes()[: 1 << 20])
    return path


def header_of(header: Mapping[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def without(*names: str) -> dict[str, Tensor]:
    return {name: value for name, value in state().items() if name not in names}


def folder_of(config: Mapping[str, object] | None, tensors: Mapping[str, Tensor] | None) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        if tensors is not None:
            save_file(dict(tensors), folder / "model.safetensors")
        return folder

    return write


def gan() -> State:
    return nn.Sequential(nn.ConvTranspose2d(8, 8, 4), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 3, 4)).state_dict()


def broken() -> State:
    content = state()
    content["conv1.weight"][0, 0, 0, 0] = float("nan")
    return content


def whole_numbers() -> State:
    return {name: (value * 10).to(torch.int8) if value.ndim > 1 else value for name, value in state().items()}


LORA = {
    "base_model.model.layer.lora_A.weight": torch.ones(2, 4),
    "base_model.model.layer.lora_B.weight": torch.ones(4, 2),
}
VIT = {
    "architectures": ["ViTForImageClassification"],
    "model_type": "vit",
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_attention_heads": 2,
}
HUGE = {"conv1.weight": {"dtype": "F32", "shape": [1 << 30, 1 << 20], "data_offsets": [0, 1 << 52]}}
SEGMENTER = {"architectures": ["SegformerForSemanticSegmentation"], "model_type": "segformer"}

WRONG: Mapping[str, tuple[Callable[[], Callable[[Path], Path]], str]] = {
    "no file": (lambda: lambda folder: folder / "weights.pth", r"There is no file .*weights\.pth"),
    "an empty file": (lambda: written("weights.pth", b""), "weights.pth is empty. Copy it again"),
    "an empty folder": (lambda: folder_of(None, None), "The folder file has no weights, such as model.safetensors"),
    "a truncated zip": (lambda: truncated, "weights.pth is not a checkpoint that can be read .* Copy it again"),
    "text with another ending": (
        lambda: written("weights.pth", b"epoch,loss\n1,0.5\n"),
        "weights.pth is not a checkpoint: torch.save did not write it, since it begins with b'epoch,loss",
    ),
    "a pickled module": (lambda: pickled(Own()), r"weights.pth is a pickle.*torch\.load\('weights.pth', weights_only"),
    "fastai's export": (lambda: pickled({"dls": Own()}, "export.pkl"), r"export\.pkl is a pickle .* Convert it where"),
    "a plain pickle": (lambda: written("weights.pkl", pickle.dumps(CLASSES)), "weights.pkl is "),
    "an optimizer": (
        lambda: saved({"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}),
        r"weights.pth contains the state of an optimizer.*model\.state_dict",
    ),
    "another architecture": (
        lambda: saved(torchvision.models.resnet34(num_classes=3).state_dict()),
        r"do not fit resnet18.*Unexpected: layer1\.2\.conv1.*They fit resnet34: name it",
    ),
    "another prefix": (
        lambda: saved(under("student.", state())),
        r"Missing: bn1\.bias.*Unexpected: student\..*They fit behind 'student\.'",
    ),
    "no head": (
        lambda: saved(without("fc.weight", "fc.bias")),
        r"Missing: fc\.bias, fc\.weight\. Its classifier seems to be missing",
    ),
    "another number of classes": (
        lambda: saved(resnet(5).state_dict()),
        "weights.pth has 5 outputs, but 3 classes are named. Name its classes",
    ),
    "weights that are NaN": (lambda: saved(broken()), r"weights.pth has weights that are NaN.* in conv1\.weight\."),
    "whole numbers": (lambda: saved(whole_numbers()), r"quantized to whole numbers, such as conv1\.weight\. Give"),
    "an adapter": (lambda: saved(LORA), r"weights.pth contains an adapter \(LoRA\), not a whole network\. Merge it"),
    "a folder of an adapter": (
        lambda: lambda folder: written("adapter_config.json", b"{}")(folder).parent,
        r"file contains an adapter \(LoRA\)",
    ),
    "a generator of images": (lambda: saved(gan()), r"do not fit resnet18\. Missing: bn1\.bias"),
    "a segmenter": (
        lambda: folder_of(SEGMENTER, {"segformer.weight": torch.ones(2)}),
        "model.safetensors is a SegformerForSemanticSegmentation of transformers, which classifies no images",
    ),
    "a broken header": (
        lambda: written("weights.safetensors", struct.pack("<Q", 1 << 40) + b"{}"),
        "weights.safetensors is not a checkpoint that can be read .*its header is broken",
    ),
    "tensors larger than the file": (
        lambda: written("weights.safetensors", header_of(HUGE, b"\0" * 64)),
        "weights.safetensors is not a checkpoint that can be read .*its header is broken",
    ),
    "transformers without a configuration": (
        lambda: folder_of(None, {"vit.embeddings.cls_token": torch.ones(1, 1, 4)}),
        r"The weights of model\.safetensors do not fit resnet18.*They look like those of transformers: put the config",
    ),
    "a configuration without weights": (lambda: folder_of(VIT, None), "The folder file has no weights"),
    "a configuration of other weights": (
        lambda: folder_of(VIT, state()),
        "model.safetensors do not fit ViTForImageClassification. Missing: classifier",
    ),
    "a broken configuration": (
        lambda: lambda folder: written("config.json", b"[")(folder_of(None, state())(folder)).parent,
        r"config\.json cannot be read as JSON",
    ),
    "a list": (
        lambda: saved([torch.ones(2)]),
        "weights.pth does not contain a plain state dict. Save model.state_dict",
    ),
}


@pytest.mark.parametrize("form", WRONG)
def test_a_wrong_file_is_refused_in_one_line(form: str, table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    make, words = WRONG[form]
    path = make()(tmp_path / "file")
    with pytest.raises(ModelError, match=words):
        wc.open_model(path, classes=CLASSES, size=SIDE)
    said = whalecam(
        "train", table, tmp_path / "images", "--run", tmp_path / "run", "--checkpoint", path, "--size", SIDE
    )
    lines = [line for line in said.stderr.splitlines() if line.strip()]
    assert said.returncode == 2 and len(lines) == 1 and "Traceback" not in said.stderr, said.stderr
    assert not (tmp_path / "run" / "run.json").exists()


def test_there_are_at_least_twelve_of_both() -> None:
    assert len(RIGHT) >= 12 and len(WRONG) >= 12
