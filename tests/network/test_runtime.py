"""Another library than torch computes a network: the same numbers, measured once, refused where they differ."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

import whalecam as wc
from whalecam.demo import write_planted
from whalecam.errors import ExtraError
from whalecam.network import Network, quick, runtime
from whalecam.network.layout import largest_difference
from whalecam.network.onnx_runtime import RuntimeFeatures, exported
from whalecam.network.runtime import kept, with_runtime

SIDE = 64
CLASSES = ["fin", "orca", "sei"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of caches, empty; returns the file of what was measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "whalecam" / "runtimes.json"


def opened(module: nn.Module) -> Network:
    return wc.open_model(module.eval(), classes=CLASSES, size=SIDE)


def small(outputs: int = len(CLASSES)) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs))


class ByTheBatch(nn.Module):
    """Twice as large for two images, which is the batch that an export traces: its graph is wrong for every other."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        activations: Tensor = self.convolution(images)
        return activations * 2 if len(images) == 2 else activations


def by_the_batch() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(ByTheBatch(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, len(CLASSES)))


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def apart(one: Network, other: Network, some: Tensor) -> list[float]:
    """The largest differences of activations and of logits, as shares of the largest."""
    with torch.no_grad():
        left, right = one.features(some), other.features(some)
        return [largest_difference(left, right), largest_difference(one.head(left), other.head(right))]


@pytest.mark.parametrize("arch", ["", "efficientnet_lite0", "resnet18", "convnext_atto"])
@pytest.mark.parametrize("count", [1, 5])
def test_its_numbers_are_those_of_torch(arch: str, count: int) -> None:
    torch.manual_seed(0)
    exact = opened(timm.create_model(arch, num_classes=len(CLASSES)) if arch else small())
    found = with_runtime(exact, quick(exact, halves=False), images(), "onnxruntime")
    assert isinstance(found.network.features, RuntimeFeatures) and "ONNX Runtime computes" in found.note
    assert max(apart(found.network, exact, images(count))) <= 1e-4
    assert max(apart(found.network, found.network, images(count).contiguous(memory_format=torch.channels_last))) == 0


def test_it_goes_to_another_process() -> None:
    exact = opened(small())
    features = RuntimeFeatures(exported(exact.features, SIDE))
    again = pickle.loads(pickle.dumps(features))  # noqa: S301  made here
    assert torch.equal(again(images()), features(images()))


def test_a_graph_that_gives_other_numbers_is_refused() -> None:
    exact = opened(by_the_batch())
    plain = quick(exact, halves=False)
    found = with_runtime(exact, plain, images(), "onnxruntime")
    assert found.network is plain
    assert found.note == (
        "Torch computes the network, not ONNX Runtime: its numbers differ from torch's by 100.0\u00a0% of the largest."
    )
    assert with_runtime(exact, plain, images()).network is plain
    assert kept() == {}


def test_what_was_measured_is_kept_and_ends_with_its_versions(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = opened(small())
    plain = quick(exact, halves=False)
    with_runtime(exact, plain, images())
    ((key, gain),) = kept().items()
    assert gain > 0 and f"onnxruntime {version()}" in key and f"torch {torch.__version__.split('+')[0]}" in key
    for stored, taken in ((3.0, True), (1.1, False)):
        cache.write_text(json.dumps({key: stored}), encoding="utf-8")
        found = with_runtime(exact, plain, images())
        assert isinstance(found.network.features, RuntimeFeatures) == taken
        assert found.note == ("ONNX Runtime computes the network, 3.0 times as fast as torch here." if taken else "")
        assert kept() == {key: stored}, "it was measured again"
    older = key.replace(f"onnxruntime {version()}", "onnxruntime 1.0")
    cache.write_text(json.dumps({older: 3.0}), encoding="utf-8")
    with_runtime(exact, plain, images())
    assert set(kept()) == {older, key}


def version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"a": "b"}', "\x00"])
def test_a_broken_file_of_measurements_is_none(cache: Path, content: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content, encoding="utf-8")
    assert kept() == {}
    runtime.keep("key", 2.0)
    assert kept() == {"key": 2.0}


def test_networks_that_stay_in_torch() -> None:
    tokens = wc.open_model(
        timm.create_model("vit_tiny_patch16_224", num_classes=len(CLASSES), img_size=SIDE).eval(),
        classes=CLASSES,
        size=SIDE,
    )
    plain = quick(tokens, halves=False)
    assert with_runtime(tokens, plain, images()) == runtime.Computed(plain)
    found = with_runtime(tokens, plain, images(), "onnxruntime")
    assert found.network is plain and found.note == "Torch computes the network: its tokens are needed too."
    exact = opened(small())
    assert with_runtime(exact, exact, images(), "torch") == runtime.Computed(exact)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An install without ONNX Runtime, as the import system sees it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    yield


def test_without_the_extra_torch_computes_and_nothing_is_said(bare: None) -> None:
    exact = opened(small())
    plain = quick(exact, halves=False)
    assert with_runtime(exact, plain, images()) == runtime.Computed(plain)
    with pytest.raises(ExtraError, match="fast"):
        with_runtime(exact, plain, images(), "onnxruntime")


def test_an_audit_has_the_same_rows_in_either_library_and_goes_on_in_the_other(tmp_path: Path) -> None:
    drawn = write_planted(tmp_path / "drawn", "colour", 6).clean
    data = wc.open_dataset(drawn / "train.csv", drawn / "images")
    network = wc.open_model(small(len(data.classes())).eval(), classes=data.classes(), size=SIDE)
    run = wc.Run.from_model(network, data, tmp_path / "run")
    rows = {}
    for library in ("torch", "onnxruntime"):
        run.clear_audit()
        done = wc.audit(run, masks=drawn / "masks", precision="float32", runtime=library)
        assert ("ONNX Runtime computes the network" in done.note) == (library == "onnxruntime")
        rows[library] = run.to_pandas().set_index("image")
    for name in ("loss", "confidence", "attention_score"):
        left, right = (np.array(rows[library][name].tolist(), float) for library in rows)
        assert np.nanmax(np.abs(left - right)) <= 1e-4 * np.nanmax(np.abs(left)) and np.isfinite(left).any(), name
    assert wc.audit(run, masks=drawn / "masks", precision="float32", runtime="torch").new == 0
