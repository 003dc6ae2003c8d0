"""ONNX files: cut at their pooling, with torch's maps; black boxes where no cut is proven; wrong files refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import whalecam as wc
from tests.tiny import LABELS, draw
from whalecam import network
from whalecam.explain import cam
from whalecam.network import Network, load_checkpoint
from whalecam.network.exactness import exactness
from whalecam.network.modules import cut
from whalecam.network.onnx_graph import grid_axes, square

CLASSES = ("a", "b", "c")
SIDE = 64
MODES = ("dynamic", "one image", "before opset 17")


def exported(module: nn.Module, path: Path, mode: str = "dynamic", side: int = SIDE) -> Path:
    """A module as torch.onnx writes it: for any number of images, for one, or by the earlier exporter."""
    image = torch.rand(2 if mode == "dynamic" else 1, 3, side, side, generator=torch.Generator().manual_seed(1))
    how: dict[str, Any] = {"external_data": False, "verbose": False}
    if mode == "dynamic":
        how["dynamic_shapes"] = ({0: torch.export.Dim.DYNAMIC},)
    if mode == "before opset 17":
        how = {"dynamo": False, "opset_version": 13}
    torch.onnx.export(module.eval(), (image,), str(path), **how)
    return path


def trained_like(module: nn.Module) -> nn.Module:
    """The module with statistics and biases that are not those it was made with, so that none can be left out."""
    chance = torch.Generator().manual_seed(3)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features, generator=chance) * 0.1
            layer.running_var = torch.rand(layer.num_features, generator=chance) + 0.5
        if isinstance(layer, nn.LayerNorm | nn.Linear) and layer.bias is not None:
            nn.init.normal_(layer.bias, std=0.2, generator=chance)
        if isinstance(layer, nn.LayerNorm) and layer.weight is not None:
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=chance)
    return module.eval()


def opened(path: Path, **options: Any) -> Network:
    return load_checkpoint(path, CLASSES, **options).network


class TestCut:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
    def test_maps_are_those_of_torch(self, name: str, mode: str, tmp_path: Path) -> None:
        torch.manual_seed(0)
        if name == "resnet18":
            module = trained_like(torchvision.models.resnet18(num_classes=3))
        else:
            module = trained_like(timm.create_model(name, num_classes=3))
        model = opened(exported(module, tmp_path / "net.onnx", mode))
        parts = cut(module, SIDE)
        assert exactness(model.head) == exactness(parts.head) == {"resnet18": "exact"}.get(name, "exact_here")
        assert model.size == SIDE and model.arch == "net (ONNX)"
        images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
        mine = cam.explain(model.head, model.look(images))
        with torch.no_grad():
            theirs, logits = cam.explain(parts.head, parts.features(model.batch(images))), module(model.batch(images))
        largest = float(theirs.maps.abs().max())
        assert mine.maps.shape == theirs.maps.shape and float((mine.maps - theirs.maps).abs().max()) <= 1e-4 * largest
        assert torch.allclose(mine.logits, logits, atol=1e-4 * float(logits.abs().max()))
        assert float(mine.completeness_error.max()) <= 1e-4 * float(logits.abs().max())

    def test_activations_with_channels_last_are_turned(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        module = trained_like(
            timm.create_model(
                "swin_tiny_patch4_window7_224",
                num_classes=3,
                img_size=64,
                depths=(1, 1),
                num_heads=(2, 4),
                embed_dim=24,
            )
        )
        model, parts = opened(exported(module, tmp_path / "swin.onnx")), cut(module, SIDE)
        images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
        mine = cam.explain(model.head, model.look(images))
        with torch.no_grad():
            theirs = cam.explain(parts.head, parts.features(model.batch(images)))
        assert exactness(model.head) == "exact" and torch.allclose(mine.maps, theirs.maps, atol=1e-4)

    @pytest.mark.parametrize("shape", [("N", 3, SIDE, SIDE), ("N", SIDE, SIDE, 3)])
    @pytest.mark.parametrize("softmax", [False, True])
    def test_a_graph_written_by_hand(self, shape: tuple[Any, ...], softmax: bool, tmp_path: Path) -> None:
        """Average over blocks of 16 px, a matrix: known maps; with the channels last, and through a softmax."""
        rng = np.random.default_rng(0)
        weight, bias = rng.normal(size=(3, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
        last = shape[3] == 3
        nodes = [helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2])] if last else []
        nodes += [
            helper.make_node(
                "AveragePool", ["first" if last else "x"], ["blocks"], kernel_shape=[16, 16], strides=[16, 16]
            ),
            helper.make_node("GlobalAveragePool", ["blocks"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["product"]),
            helper.make_node("Add", ["bias", "product"], ["logits"]),
        ]
        nodes += [helper.make_node("Softmax", ["logits"], ["p"], axis=-1)] if softmax else []
        path = written(nodes, shape, "p" if softmax else "logits", tmp_path, weight=weight, bias=bias)
        model = opened(path, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        images = rng.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
        drawn = cam.explain(model.head, model.look(images))
        blocks = (images / 255).reshape(2, 4, 16, 4, 16, 3).mean(axis=(2, 4))
        expected = np.einsum("nijk,kc->ncij", blocks, weight) / 16
        assert np.allclose(drawn.maps, expected, atol=1e-5) and np.allclose(drawn.bias, bias[None], atol=1e-5)

    @pytest.mark.parametrize(
        "names", ["{0: 'beluga', 1: 'orca', 2: 'sei'}", "['beluga', 'orca', 'sei']", "beluga, orca, sei"]
    )
    def test_classes_are_read_from_the_metadata(self, names: str, tmp_path: Path) -> None:
        path = pooled(tmp_path)
        model = onnx.load(str(path))
        helper.set_model_props(model, {"names": names})
        onnx.save(model, str(path))
        loaded = load_checkpoint(path)
        assert loaded.network.classes == ("beluga", "orca", "sei") and "classes" in loaded.notes[0]
        assert "yours are used" in " ".join(load_checkpoint(path, CLASSES).notes)

    @pytest.mark.parametrize("mode", ["dynamic", "before opset 17"])
    def test_fastais_head_is_read(self, mode: str, tmp_path: Path) -> None:
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 5, 8, 8), nn.ReLU())
        module = trained_like(nn.Sequential(body, network.fastai_head(5, 3, 7)))
        model, parts = opened(exported(module, tmp_path / "net.onnx", mode)), cut(module, SIDE)
        images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
        mine = cam.explain(model.head, model.look(images))
        with torch.no_grad():
            theirs = cam.explain(parts.head, parts.features(model.batch(images)))
        assert exactness(model.head) == "exact_here" and torch.allclose(mine.maps, theirs.maps, atol=1e-5)


class TestBlackBox:
    def test_a_class_token_has_no_maps_but_its_logits(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        module = trained_like(timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=SIDE, depth=2))
        loaded = load_checkpoint(exported(module, tmp_path / "vit.onnx"), CLASSES)
        images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
        with torch.no_grad():
            expected = module(loaded.network.batch(images))
        given = loaded.network.head(loaded.network.look(images))
        assert exactness(loaded.network.head) == "none" and torch.allclose(given, expected, atol=1e-4)
        assert "No maps" in " ".join(loaded.notes) and "black box" in " ".join(loaded.notes)

    def test_probabilities_of_an_unknown_graph_become_logits(self, tmp_path: Path) -> None:
        """Exp, sum, divide: a softmax that is none by name."""
        nodes = [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Exp", ["flat"], ["e"]),
            helper.make_node("ReduceSum", ["e", "axes"], ["total"], keepdims=1),
            helper.make_node("Div", ["e", "total"], ["p"]),
        ]
        path = written(nodes, ("N", 3, SIDE, SIDE), "p", tmp_path, axes=np.array([1], np.int64))
        loaded = load_checkpoint(path, CLASSES, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
        expected = torch.from_numpy(images / 255).mean(dim=(1, 2)).softmax(1)
        given = loaded.network.head(loaded.network.look(images)).softmax(1)
        assert exactness(loaded.network.head) == "none" and torch.allclose(given, expected, atol=1e-6)

    def test_a_pooling_that_the_logits_do_not_go_through_alone_is_no_cut(self, tmp_path: Path) -> None:
        """A second branch beside the pooling: the last layers seem known, and the logits show that they are not."""
        nodes = [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["corner"]),
            helper.make_node("Gather", ["pooled", "which"], ["same"], axis=0),
            helper.make_node("Flatten", ["same"], ["flat"]),
            helper.make_node("Flatten", ["corner"], ["beside"]),
            helper.make_node("Add", ["flat", "beside"], ["logits"]),
        ]
        one, two = np.array([1, 1], np.int64), np.array([2, 3], np.int64)
        weights: dict[str, Any] = {"starts": 0 * one, "ends": one, "axes": two, "which": np.array([0, 0], np.int64)}
        loaded = load_checkpoint(written(nodes, ("N", 3, SIDE, SIDE), "logits", tmp_path, **weights), CLASSES)
        assert exactness(loaded.network.head) == "none" and "two branches" in " ".join(loaded.notes)

    def test_rows_that_are_taken_for_others_are_no_cut(self, tmp_path: Path) -> None:
        """A Gather that looks like a reshaping and in truth exchanges channels: the numbers decide, not the names."""
        path = pooled(tmp_path, order=(2, 0, 1))
        loaded = load_checkpoint(path, CLASSES)
        assert exactness(loaded.network.head) == "none" and "as the logits show" in " ".join(loaded.notes)
        assert exactness(load_checkpoint(pooled(tmp_path, order=(0, 1, 2)), CLASSES).network.head) == "exact"


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"not a graph at all", "not an ONNX file"),
            (b"", "no operations"),
            (b"\x80\x04K\x01.", "not an ONNX file|no operations"),
        ],
    )
    def test_another_file(self, content: bytes, says: str, tmp_path: Path) -> None:
        (tmp_path / "net.onnx").write_bytes(content)
        with pytest.raises(wc.ModelError, match=says):
            opened(tmp_path / "net.onnx")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(wc.ModelError, match=r"net\.onnx cannot be read"):
            opened(tmp_path / "net.onnx")

    def test_weights_in_another_file(self, tmp_path: Path) -> None:
        model = onnx.load(str(pooled(tmp_path)))
        onnx.save(
            model, str(tmp_path / "net.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0
        )
        with pytest.raises(wc.ModelError, match="keeps weights in another file"):
            opened(tmp_path / "net.onnx")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_weights_that_are_no_numbers(self, bad: float, tmp_path: Path) -> None:
        weight = np.eye(3, dtype=np.float32)
        weight[1, 2] = bad
        with pytest.raises(wc.ModelError, match="NaN or infinite, in weight"):
            opened(pooled(tmp_path, weight=weight))

    @pytest.mark.parametrize(
        ("shape", "kind"),
        [(("N", 1, 8, 8), TensorProto.FLOAT), (("N", 3), TensorProto.FLOAT), (("N", 3, 8, 8), TensorProto.UINT8)],
    )
    def test_another_input(self, shape: tuple[Any, ...], kind: int, tmp_path: Path) -> None:
        node = helper.make_node("Identity", ["x"], ["logits"])
        with pytest.raises(wc.ModelError, match="images are float"):
            opened(written([node], shape, "logits", tmp_path, kind=kind))

    def test_another_number_of_classes(self, tmp_path: Path) -> None:
        with pytest.raises(wc.ModelError, match="3 outputs, but 2 classes"):
            load_checkpoint(pooled(tmp_path), ("a", "b"))

    def test_another_side_than_the_graphs(self, tmp_path: Path) -> None:
        with pytest.raises(wc.ModelError, match="64 px only, not 96"):
            load_checkpoint(pooled(tmp_path), CLASSES, size=96)


class TestAudited:
    def test_from_the_command_lines_verb_to_the_same_rows_as_torch(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        module = trained_like(nn.Sequential(nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.ReLU()), network.linear_head(6, 2)))
        data = wc.open_dataset(*draw(tmp_path, images=6, side=SIDE))
        path = exported(module, tmp_path / "net.onnx")
        rows = []
        for name, model in (("onnx", path), ("torch", module)):
            run = wc.Run.from_model(wc.open_model(model, classes=LABELS, size=SIDE), data, tmp_path / name)
            wc.audit(run, mask_method="border", precision="float32")
            rows.append(run.to_pandas())
        stored = wc.open_run(tmp_path / "onnx")
        assert wc.audit(stored, mask_method="border", precision="float32").new == 0
        for column in ("attention_score", "background_share", "reliance_swap", "confidence"):
            mine, theirs = (each[column].astype(float) for each in rows)
            assert np.allclose(mine, theirs, atol=1e-4, equal_nan=True), column
        assert rows[0]["attention_score"].notna().any()

    def test_it_is_built_again_from_the_run(self, tmp_path: Path) -> None:
        model = opened(pooled(tmp_path))
        again = network.from_spec(model.spec(), model.tensors())
        images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
        assert torch.equal(again.head(again.look(images)), model.head(model.look(images)))
        assert again.spec() == model.spec() and set(again.tensors()) == set(model.tensors())

    def test_it_goes_to_another_process(self, tmp_path: Path) -> None:
        import pickle

        model = opened(pooled(tmp_path))
        again = pickle.loads(pickle.dumps(model))  # noqa: S301 - made in this very process
        images = np.zeros((2, SIDE, SIDE, 3), np.uint8)
        assert torch.equal(again.head(again.look(images)), model.head(model.look(images)))


@pytest.mark.parametrize(
    ("axes", "rank", "expected"),
    [
        (None, 4, (2, 3)),
        ((-2, -1), 4, (2, 3)),
        ((-1, 2), 4, (2, 3)),
        ((1, 2), 4, (1, 2)),
        ((-3, -2), 4, (1, 2)),
        ((1,), 3, (1,)),
        ((-2,), 3, (1,)),
        ((2,), 3, None),
        ((0, 1), 4, None),
        ((1, 3), 4, None),
        (None, 3, None),
    ],
)
def test_the_axes_of_positions(axes: tuple[int, ...] | None, rank: int, expected: tuple[int, ...] | None) -> None:
    assert grid_axes(axes, rank) == expected


def test_the_side_of_a_square() -> None:
    assert [square(count) for count in (1, 49, 50, 196)] == [1, 7, None, 14]


def pooled(folder: Path, weight: Any = None, order: tuple[int, ...] | None = None) -> Path:
    """Average pooling and a matrix, with channels gathered in another order between them where one is given."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gather", ["flat", "order"], ["gathered"], axis=1),
        helper.make_node("Gemm", ["gathered", "weight"], ["logits"]),
    ]
    matrix = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32) if weight is None else weight
    places = np.array(order or (0, 1, 2), np.int64)
    return written(nodes, ("N", 3, SIDE, SIDE), "logits", folder, weight=matrix, order=places)


def written(
    nodes: list[Any], shape: tuple[Any, ...], output: str, folder: Path, kind: int = TensorProto.FLOAT, **weights: Any
) -> Path:
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output, kind, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(folder / "net.onnx"))
    return folder / "net.onnx"


def test_the_tests_modules_are_what_they_seem() -> None:
    """`trained_like` changes what a network gives, or a layer that is left out could not show."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    image: Tensor = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        before, after = module.eval()(image), trained_like(module)(image)
    assert not torch.allclose(before, after, atol=1e-2)


def test_an_architecture_beside_the_graph_is_said_to_be_unused(tmp_path: Path) -> None:
    notes = load_checkpoint(pooled(tmp_path), CLASSES, arch="resnet50").notes
    assert any("resnet50 is not used" in note for note in notes)
    assert not any("not used" in note for note in load_checkpoint(pooled(tmp_path), CLASSES).notes)
