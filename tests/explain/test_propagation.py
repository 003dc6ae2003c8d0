"""Propagated maps: against a slow second implementation, a network whose answer is known, and what it refuses."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import whalecam as wc
from benchmarks.protocols.propagation import relevance
from whalecam.errors import ModelError
from whalecam.explain import cam, propagation
from whalecam.explain.cues.cue_test import CueQuestion, CueTest
from whalecam.explain.cues.seen import Seen
from whalecam.network import Network
from whalecam.network.written import ClassToken, class_token_head

SIDE, CLASSES = 32, 3
NAMES = [f"class{at}" for at in range(CLASSES)]


def timms(**options: Any) -> Any:
    size = {"img_size": SIDE, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": CLASSES}
    return VisionTransformer(**{**size, **options})


def torchvisions() -> Any:
    size = {"image_size": SIDE, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    return torchvision.models.VisionTransformer(**size, num_classes=CLASSES)


def opened(module: Any, seed: int = 0) -> Network:
    """A network whose every weight says something."""
    torch.manual_seed(seed)
    for value in module.parameters():
        nn.init.normal_(value, std=0.3)
    return wc.open_model(module.eval(), classes=NAMES, size=SIDE)


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, {"reg_tokens": 2}, {"init_values": 0.5}, {"qk_norm": True}])
def test_it_is_what_the_slow_way_says(options: dict[str, Any]) -> None:
    module = timms(**options)
    network = opened(module)
    drawn = propagation.explain(network, images())
    for c in range(CLASSES):
        slow = relevance(module, images(), torch.full((2,), c), rule="CP-LRP")
        contrast = (drawn.maps - drawn.maps.mean(dim=1, keepdim=True))[:, c]
        assert torch.allclose(contrast, slow, atol=1e-4 * float(slow.abs().max()) + 1e-6)


@pytest.mark.parametrize("build", [timms, torchvisions])
def test_maps_and_what_has_no_place_add_up_to_the_logits_of_the_network(build: Any) -> None:
    module = build()
    network = opened(module)
    propagation.check(network, images(1))
    drawn, logits = propagation.explain(network, images()), module(images()).detach()
    scale = float(logits.abs().max())
    assert drawn.maps.shape == (2, CLASSES, 4, 4) and torch.allclose(drawn.logits, logits, atol=1e-4 * scale)
    assert torch.allclose(drawn.maps.sum(dim=(2, 3)) + drawn.bias, logits, atol=1e-4 * scale)
    assert float(drawn.completeness_error.max()) <= 1e-4 * scale
    assert not drawn.maps.requires_grad and not drawn.bias.requires_grad


def test_of_an_affine_network_each_patch_has_what_goes_with_it() -> None:
    """Equal shares, no norms and no MLPs: a patch's map is how far the logit drops without its embedding."""
    torch.manual_seed(0)
    module, zero, one = timms(depth=2, num_heads=1, norm_layer=nn.Identity).eval(), (0.0,) * 3, (1.0,) * 3
    features = ClassToken(module)
    network = Network(features, class_token_head(module), "affine", tuple(NAMES), SIDE, "squish", zero, one)
    for value in module.parameters():
        nn.init.normal_(value, std=0.3)
    for block in module.blocks:
        nn.init.zeros_(block.attn.qkv.weight[: 2 * 24])
        nn.init.zeros_(block.attn.qkv.bias[: 2 * 24])
        nn.init.zeros_(block.mlp.fc2.weight)
    drawn, tokens = propagation.explain(network, images(1)), features.embedded(images(1)).detach()
    whole = module.forward_head(features.after_layers(tokens))
    assert float(drawn.maps.abs().max()) > 0.1
    for patch in range(16):
        without = tokens.clone()
        without[:, 1 + patch] = 0
        drop = (whole - module.forward_head(features.after_layers(without)))[0].detach()
        assert torch.allclose(drawn.maps[0, :, patch // 4, patch % 4], drop, atol=1e-5)


def test_what_patches_tell_each_other_is_placed_too() -> None:
    """Where only the first layer reads other patches, what the class token reads of them later is theirs."""
    network = opened(timms())
    direct = cam.explain(network.head, network.features(images()))
    assert not torch.allclose(propagation.explain(network, images()).maps, direct.maps, atol=1e-2)


def test_a_part_that_bends_and_is_not_held_is_refused() -> None:
    class Bent(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square() * 0.2

    network = opened(timms(act_layer=Bent))
    with pytest.raises(ModelError, match=r"VisionTransformer has other parts: \d.*% of its largest logit"):
        propagation.check(network, images(1))


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_other_networks_are_refused_by_name(name: str) -> None:
    network = wc.open_model(timm.create_model(name, num_classes=CLASSES).eval(), classes=NAMES, size=SIDE)
    with pytest.raises(ModelError, match=r"by a class token alone; .* is none. Use --maps auto or --maps occlusion"):
        propagation.explain(network, images(1))


@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU, nn.ReLU, timm.layers.activations.QuickGELU])
def test_the_activations_that_such_networks_have_are_held(activation: Any) -> None:
    module = timms(act_layer=activation)
    network = opened(module)
    propagation.check(network, images(1))
    drawn, logits = propagation.explain(network, images(1)), module(images(1)).detach()
    assert torch.allclose(drawn.maps.sum(dim=(2, 3)) + drawn.bias, logits, atol=1e-4 * float(logits.abs().max()))


def test_a_checked_network_is_left_as_it_was() -> None:
    network = opened(timms())
    for value in network.features.parameters():
        value.requires_grad_(False)
    propagation.check(network, images(1))
    propagation.explain(network, images(1))
    assert all(not value.requires_grad and value.grad is None for value in network.features.parameters())


def test_the_cue_test_takes_its_patches_from_these_maps() -> None:
    network = opened(timms())
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    question = CueQuestion("a.jpg", Seen(pixels=pixels, mask=None, quality=None), 0, 1)
    (own,), (through,) = (CueTest(network, {}, [], maps, network)([question]) for maps in ("auto", "propagation"))
    assert own.patch is not None and through.patch is not None
    assert own.patch.share != pytest.approx(through.patch.share)
