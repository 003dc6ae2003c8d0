"""Forty and more architectures as torchvision and timm write them: loaded, cut, explained, stored and built again."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from whalecam import network
from whalecam.explain import cam
from whalecam.network.bodies import build_whole
from whalecam.network.exactness import exactness

CLASSES = ("beluga", "fin_whale", "orca")
EXACT, HERE, NEAR = "exact", "exact_here", "approximate"
NETWORKS = [
    ("resnet18", 64, EXACT),
    ("resnext50_32x4d", 64, EXACT),
    ("densenet121", 64, EXACT),
    ("googlenet", 64, EXACT),
    ("inception_v3", 128, EXACT),
    ("regnet_y_400mf", 64, EXACT),
    ("mobilenet_v2", 64, EXACT),
    ("mobilenet_v3_small", 64, NEAR),
    ("efficientnet_b0", 64, EXACT),
    ("shufflenet_v2_x0_5", 64, EXACT),
    ("squeezenet1_1", 64, EXACT),
    ("mnasnet0_5", 64, EXACT),
    ("convnext_tiny", 64, HERE),
    ("swin_t", 64, EXACT),
    ("swin_v2_t", 64, EXACT),
    ("maxvit_t", 224, NEAR),
    ("resnet18d", 64, EXACT),
    ("seresnet18", 64, EXACT),
    ("ecaresnet26t", 64, EXACT),
    ("regnetx_002", 64, EXACT),
    ("mobilenetv2_050", 64, EXACT),
    ("mobilenetv3_small_050", 64, NEAR),
    ("mobilenetv4_conv_small_050", 64, HERE),
    ("tf_efficientnet_lite0", 64, EXACT),
    ("efficientnet_es", 64, EXACT),
    ("tf_efficientnetv2_b0", 64, EXACT),
    ("convnext_atto", 64, HERE),
    ("convnextv2_atto", 64, HERE),
    ("nf_regnet_b0", 64, EXACT),
    ("swin_s3_tiny_224", 112, EXACT),
    ("swinv2_cr_tiny_ns_224", 112, EXACT),
    ("vit_tiny_patch16_224", 64, HERE),
    ("vit_wee_patch16_reg1_gap_256", 64, HERE),
    ("vit_relpos_small_patch16_224", 64, HERE),
    ("vit_xsmall_patch16_clip_224", 64, HERE),
    ("vit_small_patch14_dinov2", 70, HERE),
    ("vit_small_patch14_reg4_dinov2", 70, HERE),
    ("deit_tiny_patch16_224", 64, HERE),
    ("deit3_small_patch16_224", 64, HERE),
    ("eva02_tiny_patch14_224", 70, HERE),
    ("maxvit_pico_rw_256", 64, EXACT),
    ("coatnet_nano_rw_224", 64, EXACT),
    ("coatnet_rmlp_nano_rw_224", 64, EXACT),
    ("poolformer_s12", 64, HERE),
    ("pvt_v2_b0", 64, EXACT),
    ("mobilevit_xxs", 64, EXACT),
    ("fastvit_t8", 64, EXACT),
    ("repvgg_a0", 64, EXACT),
    ("ghostnet_050", 64, HERE),
    ("mixer_s32_224", 224, EXACT),
    ("edgenext_xx_small", 64, HERE),
    ("hgnetv2_b0", 64, NEAR),
    ("hiera_tiny_224", 64, HERE),
    ("mambaout_femto", 64, NEAR),
    ("sequencer2d_s", 64, EXACT),
]


def filled(arch: str, size: int) -> nn.Module:
    """A classifier with random weights and statistics, none of them zero or one as a fresh norm's are."""
    torch.manual_seed(0)
    model = build_whole(arch, len(CLASSES), size)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.get_buffer("running_mean").normal_(0, 0.1)
            layer.get_buffer("running_var").uniform_(0.7, 1.5)
    for parameter in model.parameters():
        if parameter.ndim == 1 or not parameter.any():
            nn.init.normal_(parameter, mean=float(parameter.mean()), std=0.1)
    return model.eval()


def logits_of(model: network.Network, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.head(model.features(images))
    return found


@pytest.mark.parametrize(("arch", "size", "claim"), NETWORKS, ids=[name for name, _, _ in NETWORKS])
def test_a_network_of_a_library_gives_its_own_logits_and_maps_that_keep_their_claim(
    arch: str, size: int, claim: str, tmp_path: Path
) -> None:
    theirs, path = filled(arch, size), tmp_path / "weights.pth"
    torch.save(theirs.state_dict(), path)
    model = network.load_checkpoint(path, CLASSES, arch=arch, size=size).network
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected: Tensor = theirs(images)
    largest = float(expected.abs().max())
    assert float((logits_of(model, images) - expected).abs().max()) <= 1e-4 * largest
    rebuilt = network.from_spec(model.spec(), model.tensors())
    assert torch.equal(logits_of(rebuilt, images), logits_of(model, images))
    with torch.no_grad():
        evidence = cam.explain(rebuilt.head, rebuilt.features(images))
    assert exactness(rebuilt.head) == claim
    assert evidence.maps.shape[:2] == (2, 3) and min(evidence.maps.shape[2:]) >= 2
    left = float(evidence.completeness_error.max()) / largest
    assert left <= (1e-4 if claim != NEAR else 1.0)
    assert float(evidence.maps.abs().max()) > 0


@pytest.mark.parametrize("arch", ["hgnetv2_b0", "resnet18d", "vit_tiny_patch16_224"])
def test_what_features_and_head_share_is_stored_once(arch: str, tmp_path: Path) -> None:
    theirs, path = filled(arch, 64), tmp_path / "weights.pth"
    torch.save(theirs.state_dict(), path)
    stored = network.load_checkpoint(path, CLASSES, arch=arch, size=64).network.tensors()
    whole = sum(value.numel() for value in theirs.state_dict().values())
    assert whole <= sum(value.size for value in stored.values()) <= 1.01 * whole
