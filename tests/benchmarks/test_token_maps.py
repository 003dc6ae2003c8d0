"""The benchmark of token maps: relevance by its rules in loops, and ways and curves on networks with known answers."""

from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from benchmarks.protocols.propagation import Rule, attended, before, laid_out, logits_of, relevance
from benchmarks.token_maps import (
    DEPTH,
    WAYS,
    Trial,
    curve,
    falls,
    grad_cam,
    inputs_of,
    measure,
    rollout,
    shares_inside,
    table,
    without,
    written,
)

SIDE, PATCH, CLASSES = 12, 4, 3


def vit() -> Any:
    """A tiny transformer whose every layer says something."""
    torch.manual_seed(0)
    whole = VisionTransformer(
        img_size=SIDE, patch_size=PATCH, num_classes=CLASSES, embed_dim=8, depth=DEPTH, num_heads=2
    )
    for value in whole.parameters():
        nn.init.normal_(value, std=0.5)
    return whole.double().eval()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("rule", ["gradient", "CP-LRP", "AttnLRP"])
def test_holding_parts_in_place_leaves_the_logits_as_they_are(rule: Rule) -> None:
    whole = vit()
    given = logits_of(whole, before(whole, images(), 1), rule=rule, layer=1)
    assert torch.allclose(given, whole(images()), atol=1e-7)


def test_gradient_times_input_is_that_of_the_network_itself() -> None:
    whole, classes = vit(), torch.tensor([0, 2])
    tokens = before(whole, images(), 0).detach().requires_grad_()
    after = tokens
    for block in whole.blocks:
        after = block(after)
    logits = whole.forward_head(whole.norm(after))
    (logits[torch.arange(2), classes] - logits.mean(dim=1)).sum().backward()
    assert tokens.grad is not None
    slow = (tokens * tokens.grad).sum(dim=2)[:, 1:].reshape(2, 3, 3)
    assert torch.allclose(relevance(whole, images(), classes, rule="gradient"), slow.detach())


def without_biases(whole: Any) -> Any:
    for name, value in whole.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(value)
    return whole


def test_held_shares_hand_on_all_of_the_logit() -> None:
    """Without biases each held part is linear, so the relevance of all tokens adds up to the logit (CP-LRP)."""
    whole, classes = without_biases(vit()), torch.tensor([1, 2])
    tokens = before(whole, images(), 0).detach().requires_grad_()
    logits = logits_of(whole, tokens, rule="CP-LRP")
    wanted = logits[torch.arange(2), classes] - logits.mean(dim=1)
    (slope,) = torch.autograd.grad(wanted.sum(), tokens)
    assert torch.allclose((tokens * slope).sum(dim=(1, 2)), wanted, rtol=1e-6)
    placed = relevance(whole, images(), classes, rule="CP-LRP").sum(dim=(1, 2))
    assert torch.allclose(placed + (tokens * slope).sum(dim=2)[:, 0], wanted, rtol=1e-6)


def test_attention_hands_relevance_on_by_the_rules_of_the_paper() -> None:
    """One attention alone, in loops: AttnLRP's equations 6 (linear), 7 (product of two) and 13 (softmax), no ε."""
    rng = np.random.default_rng(0)
    tokens, width = 3, 2
    x, ways = rng.normal(size=(tokens, width)), rng.normal(size=(3, width, width))
    q, k, v = (x @ way.T for way in ways)
    scores = q @ k.T / np.sqrt(width)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    out = shares @ v
    wanted = rng.normal(size=(tokens, width))
    of_out = out * wanted

    of_shares, of_q, of_k, of_v = np.zeros((tokens, tokens)), *np.zeros((3, tokens, width))
    for i, j, d in product(range(tokens), range(tokens), range(width)):
        of_shares[i, j] += shares[i, j] * v[j, d] * of_out[i, d] / (2 * out[i, d])
        of_v[j, d] += shares[i, j] * v[j, d] * of_out[i, d] / (2 * out[i, d])
    of_scores = np.zeros((tokens, tokens))
    for i, j in product(range(tokens), range(tokens)):
        of_scores[i, j] = scores[i, j] * (of_shares[i, j] - shares[i, j] * of_shares[i].sum())
    for i, j, d in product(range(tokens), range(tokens), range(width)):
        part = q[i, d] * k[j, d] / np.sqrt(width) * of_scores[i, j] / (2 * scores[i, j])
        of_q[i, d] += part
        of_k[j, d] += part
    slow = np.zeros((tokens, width))
    for values, relevances, way in zip((q, k, v), (of_q, of_k, of_v), ways, strict=True):
        for token, d, c in product(range(tokens), range(width), range(width)):
            slow[token, c] += way[d, c] * x[token, c] * relevances[token, d] / values[token, d]

    assert np.allclose(_by_gradient(x, ways, wanted), slow)


def _by_gradient(x: np.ndarray[Any, Any], ways: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> Any:
    """The same attention inside a transformer of one layer, which adds nothing else to what is asked of it."""
    blocks: Any = VisionTransformer(img_size=8, patch_size=4, embed_dim=2, depth=1, num_heads=1, num_classes=0).blocks
    attention = blocks[0].attn.double()
    with torch.no_grad():
        attention.qkv.weight.copy_(torch.from_numpy(ways.reshape(6, 2)))
        attention.qkv.bias.zero_()
        attention.proj.weight.copy_(torch.eye(2))
        attention.proj.bias.zero_()
    tokens = torch.from_numpy(x)[None].requires_grad_()
    given = attended(attention, tokens, "AttnLRP")
    (slope,) = torch.autograd.grad((given[0] * torch.from_numpy(wanted)).sum(), tokens)
    return (tokens * slope)[0].detach().numpy()


def test_the_layers_write_together_what_the_product_says() -> None:
    whole, classes = vit().float(), torch.tensor([0, 1])
    some = images().float()
    all_layers = written(whole, some, classes)
    assert torch.allclose(all_layers, written(whole, some, classes, layers=DEPTH))
    last = written(whole, some, classes, layers=1)
    shallow = vit().float()
    shallow.blocks[-1].attn.proj.weight.data.zero_()
    assert not torch.allclose(last, all_layers, atol=1e-3)
    assert torch.allclose(written(shallow, some, classes, layers=1), torch.zeros(2, 3, 3), atol=1e-6)


def test_grad_cam_is_that_of_the_peer() -> None:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class Margins(nn.Module):
        def __init__(self, whole: nn.Module) -> None:
            super().__init__()
            self.whole = whole

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.whole(x)
            return logits - logits.mean(dim=1, keepdim=True)

    whole, some = vit().float(), images().float()
    peer = GradCAM(Margins(whole), [whole.blocks[-1].norm1], reshape_transform=lambda x: _grid(x[:, 1:]))
    theirs = peer(some, [ClassifierOutputTarget(0), ClassifierOutputTarget(2)])
    ours = grad_cam(whole, some, torch.tensor([0, 2])).numpy()
    assert (np.ptp(ours, axis=(1, 2)) > 0).all()
    for mine, other in zip(ours, theirs, strict=True):
        large = cv2.resize(mine - mine.min(), (SIDE, SIDE))
        assert np.allclose(large / large.max(), other, atol=1e-3)


def _grid(tokens: Tensor) -> Tensor:
    return tokens.transpose(1, 2).reshape(len(tokens), -1, 3, 3)


def test_rollout_of_equal_attention_is_flat_and_sums_to_what_the_class_token_keeps() -> None:
    whole = vit().float()
    for block in whole.blocks:
        nn.init.zeros_(block.attn.qkv.weight)
        nn.init.zeros_(block.attn.qkv.bias)
    flow = rollout(whole, images().float(), torch.zeros(2, dtype=torch.int64))
    assert torch.allclose(flow, flow[:, :1, :1].expand_as(flow), atol=1e-6)
    step = (np.full((10, 10), 0.1) + np.eye(10)) / 2
    assert float(flow[0, 0, 0]) == pytest.approx(np.linalg.matrix_power(step, DEPTH)[0, 1], abs=1e-6)


class Counting(nn.Module):
    """Class 1 by the mean brightness of the upper left patch, and a little by the lower right; class 0 by nothing."""

    patch_embed = type("Grid", (), {"grid_size": (3, 3)})()

    def __init__(self, last: float = 0.0) -> None:
        super().__init__()
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        first, last = x[:, :, :PATCH, :PATCH].mean(dim=(1, 2, 3)), x[:, :, -PATCH:, -PATCH:].mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(first), 4 * first + self.last * last], dim=1)


def test_occlusion_and_curves_find_the_one_patch_that_counts() -> None:
    whole: Any = Counting()
    some, classes = torch.zeros(1, 3, SIDE, SIDE), torch.tensor([1])
    some[:, :, :PATCH, :PATCH] = 1.0
    drops = WAYS["occlusion by patches"](whole, some, classes)
    assert float(drops[0, 0, 0]) == pytest.approx(2 * (1 - 1 / 9)) and float(drops[0, 1:].abs().max()) < 1e-6
    best, worst = torch.zeros(1, 3, 3), torch.zeros(1, 3, 3)
    best[0, 0, 0], worst[0, 0, 0] = 1, -1
    assert curve(whole, some, classes, best)[0] < curve(whole, some, classes, worst)[0]
    assert curve(whole, some, classes, best, insert=True)[0] > curve(whole, some, classes, worst, insert=True)[0]
    high, low = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(-4 / 9))
    assert curve(whole, some, classes, best)[0] == pytest.approx(low + (high - low) / 16, rel=1e-5)


def test_what_is_hidden_takes_the_mean_color_of_its_image() -> None:
    some = torch.arange(2 * 3 * SIDE * SIDE, dtype=torch.float32).reshape(2, 3, SIDE, SIDE)
    hidden = torch.zeros(2, 9, dtype=torch.bool)
    hidden[1, 4] = True
    changed = without(some, hidden, (3, 3))
    assert torch.equal(changed[0], some[0])
    assert torch.equal(changed[1, :, 4:8, 4:8], some[1].mean(dim=(1, 2))[:, None, None].expand(3, 4, 4))
    assert torch.equal(changed[1, :, :4], some[1, :, :4])


def test_the_share_inside_counts_positive_evidence_alone() -> None:
    maps = torch.tensor([[[1.0, -5.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]])
    places = np.zeros((3, 4, 4))
    places[:, :2, :2] = 1
    inside, beside, nothing = shares_inside(maps, places)
    assert inside > 0.6 > 0.2 > beside >= 0 and np.isnan(nothing)


def test_the_table_tells_the_way_that_sees_the_shortcut_from_chance() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(100, 156, (40, SIDE, SIDE, 3)).astype(np.uint8)
    pictures[::2, :PATCH, :PATCH], pictures[:, -PATCH:, -PATCH:] = 255, 255
    changed = pictures.copy()
    changed[:, :PATCH, :PATCH] = 90
    places = np.zeros((40, SIDE, SIDE))
    places[:, :PATCH, :PATCH] = 1
    whole: Any = Counting(last=1.0)
    one = Trial(whole=whole, images=pictures, changed=changed, shortcuts=places, accuracy=1.0)
    top, truth = falls(one)
    assert truth[::2].all() and not truth[1::2].any() and set(top[::2]) == {1}
    found = measure(one, {name: WAYS[name] for name in ("occlusion by patches", "chance")})
    assert found["occlusion by patches"][0] > 0.9 > 0.75 > found["chance"][0]
    assert found["occlusion by patches"][3] > 5 > found["chance"][3]
    lines = table([found, found]).splitlines()
    assert len(lines) == 4 and lines[2].startswith("| occlusion by patches | 1.000 (1.000 to 1.000) |")
    assert laid_out(vit(), torch.arange(10.0)[None]).flatten().tolist() == list(range(1, 10))
    assert inputs_of(pictures).shape == (40, 3, SIDE, SIDE) and float(inputs_of(pictures).max()) == 1.0


def test_every_way_draws_maps_of_the_grid() -> None:
    whole, some, classes = vit().float(), images().float(), torch.tensor([0, 2])
    for name, way in WAYS.items():
        maps = way(whole, some, classes)
        assert maps.shape == (2, 3, 3) and bool(torch.isfinite(maps).all()), name
