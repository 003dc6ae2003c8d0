"""Checkpoints of the library transformers: its logits, maps that add up to them, its labels and preprocessing."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tests.commandline import whalecam
from tests.network.test_network import logits
from whalecam import extras, network
from whalecam.errors import ExtraError, ModelError
from whalecam.explain import cam, propagation
from whalecam.network.exactness import exactness
from whalecam.network.written import ClassToken
from whalecam.store.run import open_run

NAMES = ("orca", "beluga", "fin_whale")
VIT: Mapping[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
DINO = {**VIT, "mlp_ratio": 2, "layerscale_value": 0.5}

KINDS: Mapping[str, tuple[dict[str, Any], str]] = {
    "ViT": ({**VIT}, "exact_here"),
    "DeiT": ({**VIT}, "exact_here"),
    "ViTMSN": ({**VIT}, "exact_here"),
    "Beit": ({**VIT, "use_mean_pooling": True}, "exact_here"),
    "Dinov2": (DINO, "approximate"),
    "Dinov2WithRegisters": ({**DINO, "num_register_tokens": 4}, "approximate"),
    "IJepa": ({**VIT}, "exact"),
    "Siglip": ({"vision_config": dict(VIT)}, "exact"),
    "CLIP": ({"vision_config": dict(VIT)}, "exact"),
    "Swin": (SWIN, "exact"),
    "Swinv2": (SWIN, "exact"),
    "ConvNext": ({**STAGES, "image_size": 64}, "exact_here"),
    "ConvNextV2": ({**STAGES, "image_size": 64}, "exact_here"),
    "ResNet": ({**STAGES, "embedding_size": 8}, "exact"),
    "RegNet": ({**STAGES, "embedding_size": 8, "groups_width": 8}, "exact"),
    "MobileNetV2": ({"image_size": 64, "depth_multiplier": 0.25}, "exact"),
    "PoolFormer": ({**STAGES, "image_size": 64}, "exact"),
}


def varied(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def theirs(kind: str, names: tuple[str, ...] | None = NAMES, **options: Any) -> Any:
    labels: dict[str, Any] = {"num_labels": len(NAMES)}
    if names is not None:
        labels = {"id2label": dict(enumerate(names)), "label2id": {name: at for at, name in enumerate(names)}}
    config = getattr(transformers, f"{kind}Config")(**{**KINDS[kind][0], **options}, **labels)
    return varied(getattr(transformers, f"{kind}ForImageClassification")(config))


@pytest.mark.parametrize("kind", KINDS)
def test_its_logits_and_maps_are_those_of_the_library(kind: str, tmp_path: Path) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path)
    options, claimed = KINDS[kind]
    side = options.get("image_size", options.get("vision_config", {"image_size": 64})["image_size"])
    loaded = network.load_checkpoint(tmp_path, otherwise=("a", "b", "c"), size=side)
    ours, pixels = loaded.network, torch.rand(2, 3, side, side)
    with torch.no_grad():
        wanted: Tensor = model(pixels).logits
        activations = ours.features(pixels)
    evidence = cam.explain(ours.head, activations)
    scale = float(wanted.abs().max())
    assert float((evidence.logits - wanted).abs().max()) <= 1e-4 * scale
    assert float(evidence.completeness_error.max()) <= 1e-4 * scale and exactness(ours.head) == claimed
    assert ours.classes == NAMES and ours.arch == f"{kind}ForImageClassification (transformers)"
    assert loaded.notes[0].startswith("As the file says: architecture, classes")
    again = network.from_spec(ours.spec(), ours.tensors())
    assert torch.equal(logits(again, pixels), logits(ours, pixels))


@pytest.mark.parametrize("kind", ["ViT", "DeiT", "ViTMSN"])
def test_maps_of_its_class_token_can_be_propagated(kind: str, tmp_path: Path) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path)
    ours = network.load_checkpoint(tmp_path, otherwise=("a", "b", "c"), size=32).network
    pixels = torch.rand(2, 3, 32, 32)
    propagation.check(ours, pixels[:1])
    with torch.no_grad():
        wanted: Tensor = model(pixels).logits
    drawn = propagation.explain(ours, pixels)
    assert torch.allclose(drawn.maps.sum(dim=(2, 3)) + drawn.bias, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_a_class_token_beside_an_average_is_not_propagated(tmp_path: Path) -> None:
    theirs("Dinov2").save_pretrained(tmp_path)
    ours = network.load_checkpoint(tmp_path, otherwise=("a", "b", "c"), size=32).network
    with pytest.raises(ModelError, match="by a class token alone"):
        propagation.explain(ours, torch.rand(1, 3, 32, 32))


def test_what_patches_wrote_is_that_of_the_same_network_in_timm(tmp_path: Path) -> None:
    """The class token is decomposed alike in both libraries, filled with one set of weights."""
    model = theirs("ViT")
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    start = {"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings"}
    pairs = {name: stored[f"vit.{other}"] for name, other in start.items()}
    for end in ("weight", "bias"):
        pairs[f"patch_embed.proj.{end}"] = stored[f"vit.embeddings.patch_embeddings.projection.{end}"]
        pairs[f"norm.{end}"], pairs[f"head.{end}"] = stored[f"vit.layernorm.{end}"], stored[f"classifier.{end}"]
        for at in range(2):
            layer = f"vit.encoder.layer.{at}."
            qkv = [stored[f"{layer}attention.attention.{name}.{end}"] for name in ("query", "key", "value")]
            pairs[f"blocks.{at}.attn.qkv.{end}"] = torch.cat(qkv)
            for name, other in (
                ("attn.proj", "attention.output.dense"),
                ("norm1", "layernorm_before"),
                ("norm2", "layernorm_after"),
                ("mlp.fc1", "intermediate.dense"),
                ("mlp.fc2", "output.dense"),
            ):
                pairs[f"blocks.{at}.{name}.{end}"] = stored[f"{layer}{other}.{end}"]
    frame: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    timms = VisionTransformer(**frame, mlp_ratio=2, num_classes=3).eval()
    timms.load_state_dict(pairs)
    ours, pixels = network.load_checkpoint(tmp_path).network, torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours.features(pixels), ClassToken(timms)(pixels), atol=1e-4)


PREPARED: Mapping[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "height and width": ({"size": {"height": 32, "width": 32}, "resample": 2}, (32, "squish")),
    "one number": ({"size": 32, "resample": 3}, (32, "squish bicubic")),
    "a central crop": (
        {"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}},
        (32, "crop 0.8"),
    ),
    "a crop share": ({"size": {"shortest_edge": 32}, "crop_pct": 0.875, "resample": 3}, (32, "crop 0.875 bicubic")),
}


@pytest.mark.parametrize("form", PREPARED)
def test_its_preprocessing_is_used(form: str, tmp_path: Path) -> None:
    theirs("ViT").save_pretrained(tmp_path)
    content, wanted = PREPARED[form]
    more = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content | more))
    ours = network.load_checkpoint(tmp_path).network
    assert (ours.size, ours.resize) == wanted and (ours.mean, ours.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content | more | {"do_normalize": False}))
    ours = network.load_checkpoint(tmp_path).network
    assert (ours.mean, ours.std) == ((0, 0, 0), (1, 1, 1))


def test_without_preprocessing_the_side_is_the_configurations(tmp_path: Path) -> None:
    theirs("ViT").save_pretrained(tmp_path)
    loaded = network.load_checkpoint(tmp_path)
    assert (loaded.network.size, loaded.network.resize) == (32, "squish")
    with pytest.raises(ModelError, match=r"takes no images of 64 × 64 px.*made for 32 px"):
        network.load_checkpoint(tmp_path, size=64)


def test_placeholders_are_no_names(tmp_path: Path) -> None:
    theirs("ResNet", names=None).save_pretrained(tmp_path)
    assert network.load_checkpoint(tmp_path, otherwise=("a", "b", "c"), size=64).network.classes == ("a", "b", "c")
    with pytest.raises(ModelError, match=r"model\.safetensors has 3 outputs, but 2 classes are named"):
        network.load_checkpoint(tmp_path, ("a", "b"), size=64)


def test_weights_that_are_left_out_are_said(tmp_path: Path) -> None:
    """Files of a ViT may bring the pooler of its pretraining along."""
    theirs("ViT").save_pretrained(tmp_path)
    more = {"vit.pooler.dense.weight": torch.ones(16, 16)}
    save_file(load_file(tmp_path / "model.safetensors") | more, tmp_path / "model.safetensors")
    assert network.load_checkpoint(tmp_path).notes[-1] == (
        "Weights that no logit depends on, and that are not used: vit.pooler.dense.weight."
    )


def test_half_precision_is_computed_in_float32(tmp_path: Path) -> None:
    model = theirs("ResNet")
    model.half().save_pretrained(tmp_path)
    ours = network.load_checkpoint(tmp_path, size=64).network
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        wanted = model.float()(pixels).logits
    assert float((logits(ours, pixels) - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())


def test_code_and_kernels_that_a_configuration_names_are_not_used(tmp_path: Path) -> None:
    theirs("ViT").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"auto_map": {"AutoModelForImageClassification": "evil.Model"}, "_attn_implementation": "evil/kernel"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"attn_implementation": "evil/kernel"}))
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    assert network.load_checkpoint(tmp_path).network.classes == NAMES


def drop(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        save_file({key: value for key, value in tensors.items() if key != name}, folder / "model.safetensors")

    return change


def configured(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("classifier.bias"), r"do not fit ViTForImageClassification\. Missing: classifier\.bias\."),
        (configured(hidden_size=1 << 16), r"with [\d,]{11,} weights, and the file has [\d,]+\."),
        (configured(hidden_size=32), r"do not fit its config\.json: .* Give the config\.json"),
        (
            configured(model_type="vit_of_tomorrow"),
            r"kind 'vit_of_tomorrow', which the installed transformers does not",
        ),
        (
            configured(architectures=["ViTForMaskedImageModeling"]),
            "ViTForMaskedImageModeling of transformers, which cl",
        ),
        (configured(architectures=["DeiTForImageClassification"]), "its kind 'vit' has ViTForImageClassification"),
        (configured(num_attention_heads=3), r"cannot be built as ViTForImageClassification|do not fit"),
    ],
)
def test_what_does_not_fit_is_said(change: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    theirs("ViT").save_pretrained(tmp_path)
    change(tmp_path)
    with pytest.raises(ModelError, match=words):
        network.load_checkpoint(tmp_path)


def test_the_architecture_is_not_given_twice(tmp_path: Path) -> None:
    theirs("ViT").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="the architecture resnet18 is not used"):
        network.load_checkpoint(tmp_path, arch="resnet18")


def test_where_the_library_is_missing_the_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs("ViT").save_pretrained(tmp_path)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(
        ExtraError, match=r"checkpoint of ViTForImageClassification.*pip install 'whalecam\[transformers\]'"
    ):
        network.load_checkpoint(tmp_path)


def test_a_run_of_it_is_audited(prepared: Path, tmp_path: Path) -> None:
    pictures = prepared / "pictures"
    names = open_run(prepared / "runs" / "demo").manifest.classes
    (tmp_path / "file").mkdir()
    theirs("ViT", names=tuple(names)).save_pretrained(tmp_path / "file")
    source = [pictures / "train.csv", pictures / "images", "--run", tmp_path / "run", "--checkpoint", tmp_path / "file"]
    loaded = whalecam("train", *source)
    assert loaded.returncode == 0, loaded.stderr
    audited = whalecam("audit", tmp_path / "run", "--limit", "12", "--masks", pictures / "masks")
    assert audited.returncode == 0, audited.stderr
    assert open_run(tmp_path / "run").manifest.exactness == "exact_here"
