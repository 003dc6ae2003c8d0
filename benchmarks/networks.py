"""Architectures of torchvision and timm with random weights: what their maps claim, leave unexplained, and cost.

usage: python -m benchmarks.networks

Writes the table of docs/networks.md. *Left* is the largest completeness error, of the largest logit. *Placed* is the
share of the differences between the classes' logits that the maps explain, on noise. *Pace* is the speed of features,
head and maps of ten classes beside the bare forward pass of the same network: batches of 8, float32, in turn, the best
of the rounds.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import nn

from whalecam.errors import ModelError
from whalecam.explain import cam
from whalecam.explain.placement import placed_share
from whalecam.network.bodies import build_whole
from whalecam.network.exactness import exactness
from whalecam.network.modules import Cut, cut
from whalecam.network.pretrained import family_of

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"
START, END = "<!-- table -->", "<!-- end -->"
CLASSES, BATCH, ROUNDS, LARGEST = 10, 8, 3, 256
NAMES = """\
resnet18 resnext50_32x4d densenet121 googlenet inception_v3 vgg11_bn alexnet regnet_y_400mf mobilenet_v2
mobilenet_v3_small efficientnet_b0 efficientnet_v2_s shufflenet_v2_x0_5 squeezenet1_1 mnasnet0_5 convnext_tiny swin_t
swin_v2_t maxvit_t vit_b_32 resnet18d seresnet18 ecaresnet26t regnetx_002 mobilenetv2_050 mobilenetv3_small_050
mobilenetv4_conv_small_050 tf_efficientnet_lite0 tf_efficientnetv2_b0 convnext_atto convnextv2_atto nfnet_l0
nf_regnet_b0 swin_tiny_patch4_window7_224 swin_s3_tiny_224 swinv2_tiny_window8_256 swinv2_cr_tiny_ns_224
vit_tiny_patch16_224 vit_small_patch16_224 vit_wee_patch16_reg1_gap_256 vit_relpos_small_patch16_224
vit_xsmall_patch16_clip_224 vit_base_patch32_clip_224 vit_base_patch32_siglip_256 vit_small_patch14_dinov2
vit_small_patch14_reg4_dinov2 deit_tiny_patch16_224 deit3_small_patch16_224 beit_base_patch16_224
eva02_tiny_patch14_224 maxvit_pico_rw_256 maxvit_tiny_tf_224 coatnet_nano_rw_224 coatnet_0_224 poolformer_s12
pvt_v2_b0 mobilevit_xxs fastvit_t8 repvgg_a0 ghostnet_050 mixer_s32_224 edgenext_xx_small hgnetv2_b0 hiera_tiny_224
mambaout_femto tiny_vit_5m_224 cait_xxs24_224 xcit_nano_12_p16_224
"""


def side_of(arch: str) -> int:
    """The side it was made for, px; 224, or 14 patches, where that is larger than LARGEST."""
    if family_of(arch) == "torchvision":
        return 299 if arch == "inception_v3" else 224
    side = int(vars(timm.get_pretrained_cfg(arch))["input_size"][-1])
    return side if side <= LARGEST or "inception" in arch else 224


def varied(whole: nn.Module) -> nn.Module:
    """No scale is one and no shift zero, as a fresh norm's are."""
    for parameter in whole.parameters():
        if parameter.ndim == 1 or not parameter.any():
            nn.init.normal_(parameter, mean=float(parameter.mean()), std=0.1)
    return whole.eval()


def fastest(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest of ROUNDS, all taking turns; one run before is not counted."""
    best = dict.fromkeys(runs, float("inf"))
    for at in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if at:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def row(arch: str) -> str:
    torch.manual_seed(0)
    side = side_of(arch)
    whole = varied(build_whole(arch, CLASSES, side))
    images = torch.rand(BATCH, 3, side, side)
    try:
        parts = cut(whole, side)
    except ModelError as error:
        return (
            f"| {arch} | {side} | refused: {str(error).partition(': ')[2].partition('. Pass')[0] or 'no cut'} | | | |"
        )
    return _measured(arch, side, whole, parts, images)


def _measured(arch: str, side: int, whole: nn.Module, parts: Cut, images: torch.Tensor) -> str:
    with torch.inference_mode():
        evidence = cam.explain(parts.head, parts.features(images))
        took = fastest({"bare": lambda: whole(images), "maps": lambda: cam.explain(parts.head, parts.features(images))})
    left = float(evidence.completeness_error.max() / evidence.logits.abs().max())
    shares = [
        placed_share(maps.numpy(), logits.double().numpy())
        for maps, logits in zip(evidence.maps, evidence.logits, strict=True)
    ]
    share = sorted(shares)[len(shares) // 2]
    pace = took["bare"] / took["maps"]
    return f"| {arch} | {side} | `{exactness(parts.head)}` | {left:.0e} | {share:.2f} | {pace:.2f} |"


def table() -> str:
    rows = ["| Network | px | Exactness | Left | Placed | Pace |", "|---|---|---|---|---|---|"]
    for name in NAMES.split():
        rows.append(row(name))
        print(rows[-1], flush=True)
    return "\n".join(rows)


def main() -> None:
    warnings.simplefilter("ignore")
    made = table()
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
