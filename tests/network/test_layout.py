"""What a body's activations must look like: proven by running it, for toy nets and for those of the libraries."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.commandline import whalecam
from tests.tiny import draw
from whalecam import network
from whalecam.errors import ModelError
from whalecam.network.layout import check_cut, check_size, proven_channels


class Shaped(nn.Module):
    """A convolution of 6 channels at a stride of 16, and what `change` makes of its (N, 6, h, w)."""

    def __init__(self, change: Callable[[Tensor], object], takes: Callable[[Tensor], bool] = lambda _: True) -> None:
        super().__init__()
        self.conv, self.change, self.takes = nn.Conv2d(3, 6, 16, 16), change, takes

    def forward(self, x: Tensor) -> object:
        assert self.takes(x), f"no input of {tuple(x.shape[2:])}\nmore lines"
        return self.change(self.conv(x))


def test_channels_first_is_accepted_with_its_own_number() -> None:
    assert proven_channels(Shaped(lambda x: x), "toy") == 6
    assert proven_channels(nn.Sequential(nn.Conv2d(3, 8, 3, 64, 1)), "stride 64") == 8


@pytest.mark.parametrize(
    ("change", "words", "shape"),
    [
        (lambda x: x.permute(0, 2, 3, 1), "channels last", "(1, 8, 8, 6)"),
        (lambda x: x.permute(0, 1, 3, 2), "unknown order", "(1, 6, 12, 10)"),
        (lambda x: x.permute(0, 2, 1, 3), "unknown order", "(1, 8, 6, 8)"),
        (lambda x: x.permute(1, 0, 2, 3), "no positions", "(6, 1, 8, 8)"),
        (lambda x: x.flatten(2).transpose(1, 2), "no positions", "(1, 64, 6)"),
        (lambda x: x.mean((2, 3)), "no positions", "(1, 6)"),
        (lambda x: x.mean((2, 3), keepdim=True), "pools its positions away", "(1, 6, 1, 1)"),
        (lambda x: nn.functional.adaptive_avg_pool2d(x, 7), "pools its positions away", "(1, 6, 7, 7)"),
        (lambda x: [x], "gives a list", "128 × 128"),
    ],
)
def test_other_layouts_are_refused_with_what_was_seen(change: Callable[[Tensor], Any], words: str, shape: str) -> None:
    with pytest.raises(ModelError) as refused:
        proven_channels(Shaped(change), "toy")
    assert all(part in str(refused.value) for part in ("'toy'", words, shape, "resnet18"))


def test_channels_that_equal_a_side_by_chance_are_told_apart_by_the_second_size() -> None:
    """Eight channels, kept last, of an input that gives 8 × 8 positions: one size alone says nothing."""
    body = nn.Sequential(nn.Conv2d(3, 8, 16, 16), Last())
    with pytest.raises(ModelError, match=r"\(1, 8, 8, 8\).*\(1, 10, 12, 8\)"):
        proven_channels(body, "square")


class Last(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


def test_one_input_size_only_proves_nothing_and_the_shape_there_is_named() -> None:
    fixed = Shaped(lambda x: x, lambda x: x.shape[2:] == (224, 224))
    with pytest.raises(ModelError, match=r"takes no images of 128 × 128 px \(no input of \(128, 128\)\).*\(1, 6, 14"):
        proven_channels(fixed, "fixed")
    square = Shaped(lambda x: x, lambda x: x.shape[2] == x.shape[3])
    with pytest.raises(ModelError, match="takes no images of 160 × 192 px"):
        proven_channels(square, "square")


class Classifier(nn.Module):
    """Layers, a pooling and a linear layer; `beside` is added to the logits past the cut."""

    def __init__(self, beside: float = 0.0, last: bool = False) -> None:
        super().__init__()
        self.features, self.avgpool, self.fc = nn.Conv2d(3, 6, 16, 16), nn.AdaptiveAvgPool2d(1), nn.Linear(6, 2)
        self.beside, self.last = beside, last

    def forward(self, x: Tensor) -> Tensor:
        inner = self.features(x).tanh() if self.last else self.features(x)
        logits: Tensor = self.fc(self.avgpool(inner).flatten(1)) + self.beside * x.mean()
        return logits


def test_a_cut_is_right_where_the_logits_depend_on_the_features_alone() -> None:
    torch.manual_seed(0)
    whole = Classifier()
    check_cut(whole, whole.features, whole.features, "toy", before=False)
    check_cut(whole, whole.avgpool, whole.features, "toy", before=True)
    assert not whole.features._forward_hooks and not whole.avgpool._forward_pre_hooks


def test_a_cut_that_leaves_something_out_is_refused() -> None:
    torch.manual_seed(0)
    past, short = Classifier(beside=1.0), Classifier(last=True)
    for whole, joint, before in ((past, past.features, False), (short, short.avgpool, True)):
        with pytest.raises(ModelError, match=r"head\(features\(x\)\) differs from the network's own logits by \d"):
            check_cut(whole, joint, whole.features, "toy", before=before)


def test_a_size_at_which_nothing_is_left_is_refused() -> None:
    check_size(Shaped(lambda x: x), "toy", 16)
    with pytest.raises(ModelError, match="'toy' cannot be used at 15 px"):
        check_size(Shaped(lambda x: x), "toy", 15)


@pytest.mark.parametrize(
    ("arch", "channels"),
    [
        ("mobilenet_v2", 1280),
        ("efficientnet_b0", 1280),
        ("densenet121", 1024),
        ("squeezenet1_1", 512),
        ("regnet_y_400mf", 440),
        ("convnext_atto", 320),
        ("pvt_v2_b0", 256),
        ("resnet10t", 512),
    ],
)
def test_networks_that_keep_channels_first_load(arch: str, channels: int) -> None:
    assert network.build_body(arch, pretrained=False, size=64).channels == channels


@pytest.mark.parametrize(
    ("arch", "seen"),
    [
        ("swin_t", r"channels last.*\(1, 4, 4, 768\).*\(1, 5, 6, 768\)"),
        ("sequencer2d_s", r"channels last.*\(1, 9, 9, 384\).*\(1, 11, 13, 384\)"),
        ("swin_tiny_patch4_window7_224", r"128 × 128 px.*\(1, 7, 7, 768\)"),
        ("vit_tiny_patch16_224", r"128 × 128 px.*\(1, 197, 192\)"),
        ("mnasnet0_5", "no place to cut it"),
        ("coat_lite_tiny", "cannot be built"),
    ],
)
def test_networks_of_another_layout_are_refused(arch: str, seen: str) -> None:
    with pytest.raises(ModelError, match=f"'{arch}' .*{seen}"):
        network.build_body(arch, pretrained=False)


def test_the_command_line_refuses_before_an_image_is_read_and_when_a_run_is_opened(tmp_path: Path) -> None:
    csv, images = draw(tmp_path)
    verb = ["train", csv, images, "--run", tmp_path / "run", "--arch", "vit_b_16", "--no-pretrained"]
    refused = whalecam(*verb)
    assert refused.returncode == 2 and "takes no images" in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "run").exists()
    spec = {"classes": ["a", "b"], "arch": "swin_t", "size": 64, "resize": "squish", "head_kind": "linear"}
    with pytest.raises(ModelError, match="channels last"):
        network.from_spec(json.loads(json.dumps(spec | {"mean": [0, 0, 0], "std": [1, 1, 1]})), {})
