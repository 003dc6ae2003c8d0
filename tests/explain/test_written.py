"""What patches write into the vector that is classified: against loops, one head, one token, one layer at a time."""

from typing import Any, cast

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.models import VisionTransformer as OtherTransformer

from whalecam.explain import cam
from whalecam.network.exactness import exactness
from whalecam.network.modules import cut
from whalecam.network.written import AttentionPooled, ClassToken, attention_pooled_head, class_token_head

SIDE, PATCH, WIDTH, HEADS, CLASSES = 12, 4, 8, 2, 3
GRID = SIDE // PATCH


def varied(model: nn.Module) -> nn.Module:
    """No weight is zero or one, as fresh norms and scales are."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model.eval()


def timms(**options: Any) -> nn.Module:
    frame: dict[str, Any] = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": 2, "num_heads": HEADS}
    return varied(VisionTransformer(**frame, num_classes=CLASSES, **options))


def torchvisions() -> nn.Module:
    return varied(OtherTransformer(SIDE, PATCH, 2, HEADS, WIDTH, 2 * WIDTH, num_classes=CLASSES))


def images() -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def written_slowly(model: Any, pixels: Tensor) -> Tensor:
    """Of one image: what attention carried from each patch to the class token, (T, K), in timm's own network."""
    tokens = model.norm_pre(model._pos_embed(model.patch_embed(pixels[None])))
    before, each = model.num_prefix_tokens, WIDTH // HEADS
    written = torch.zeros(GRID * GRID, WIDTH)
    for block in model.blocks:
        normed, attention = block.norm1(tokens)[0], block.attn
        for head in range(HEADS):
            rows = [slice(part * WIDTH + head * each, part * WIDTH + (head + 1) * each) for part in range(3)]
            weight, bias = attention.qkv.weight, attention.qkv.bias
            shift = torch.zeros(3 * WIDTH) if bias is None else bias
            query = attention.q_norm(weight[rows[0]] @ normed[0] + shift[rows[0]])
            keys = [attention.k_norm(weight[rows[1]] @ token + shift[rows[1]]) for token in normed]
            scores = torch.stack([query @ key / each**0.5 for key in keys])
            shares = torch.exp(scores - scores.max()) / torch.exp(scores - scores.max()).sum()
            for j in range(GRID * GRID):
                value = weight[rows[2]] @ normed[before + j] + shift[rows[2]]
                carried = attention.proj.weight[:, head * each : (head + 1) * each] @ (shares[before + j] * value)
                written[j] += carried * getattr(block.ls1, "gamma", torch.ones(WIDTH))
        tokens = block(tokens)
    return written


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init_values": 0.5},
        {"reg_tokens": 2},
        {"qk_norm": True},
        {"qkv_bias": False, "pre_norm": True},
        {"no_embed_class": True, "reg_tokens": 1, "init_values": 0.1},
    ],
)
def test_what_patches_write_is_what_each_head_carries(options: dict[str, Any]) -> None:
    model = timms(**options)
    features, head = ClassToken(model), class_token_head(model)
    with torch.no_grad():
        found, expected = features(images()), model(images())
        slow = torch.stack([written_slowly(model, pixels) for pixels in images()])
        assert found.shape == (2, 2 * WIDTH, GRID, GRID)
        assert torch.allclose(found[:, :WIDTH].flatten(2).transpose(1, 2), slow, atol=1e-5)
        assert torch.allclose(head(found), expected, atol=1e-5)


@pytest.mark.parametrize("build", [timms, torchvisions])
def test_both_libraries_are_cut_at_the_class_token_and_add_up(build: Any) -> None:
    model = build()
    found = cut(model, SIDE)
    assert isinstance(found.features, ClassToken) and exactness(found.head) == "exact_here"
    with torch.no_grad():
        activations, expected = found.features(images()), model(images())
    evidence = cam.explain(found.head, activations)
    assert torch.allclose(evidence.logits, expected, atol=1e-5)
    assert float(evidence.completeness_error.max()) <= 1e-5 * float(expected.abs().max())
    layers: list[Any] = list(found.head.children())
    norm, linear = layers[1], layers[-1]
    written, rest = activations.chunk(2, dim=1)
    for n in range(2):
        token = (written + rest)[n].sum(dim=(1, 2))
        scale = (token.var(correction=0) + norm.eps).sqrt()
        for c in range(CLASSES):
            for i, j in ((0, 0), (1, 2)):
                centred = written[n, :, i, j] - written[n, :, i, j].mean()
                by_hand = float((linear.weight[c] * norm.weight * centred).sum() / scale)
                assert float(evidence.maps[n, c, i, j]) == pytest.approx(by_hand, abs=1e-5)


def test_the_two_libraries_agree_on_the_same_weights() -> None:
    theirs, ours = cast(Any, torchvisions()), cast(Any, timms())
    pairs = {"cls_token": theirs.class_token, "pos_embed": theirs.encoder.pos_embedding}
    pairs |= {f"patch_embed.proj.{name}": value for name, value in theirs.conv_proj.named_parameters()}
    pairs |= {f"norm.{name}": value for name, value in theirs.encoder.ln.named_parameters()}
    pairs |= {f"head.{name}": value for name, value in theirs.heads.head.named_parameters()}
    wider = timms(mlp_ratio=2.0)
    for at, layer in enumerate(theirs.encoder.layers):
        attention = layer.self_attention
        pairs |= {f"blocks.{at}.norm1.{name}": value for name, value in layer.ln_1.named_parameters()}
        pairs |= {f"blocks.{at}.norm2.{name}": value for name, value in layer.ln_2.named_parameters()}
        pairs |= {f"blocks.{at}.attn.qkv.{kind}": getattr(attention, f"in_proj_{kind}") for kind in ("weight", "bias")}
        pairs |= {f"blocks.{at}.attn.proj.{name}": value for name, value in attention.out_proj.named_parameters()}
        pairs |= {f"blocks.{at}.mlp.fc1.{name}": value for name, value in layer.mlp[0].named_parameters()}
        pairs |= {f"blocks.{at}.mlp.fc2.{name}": value for name, value in layer.mlp[3].named_parameters()}
    del ours
    wider.load_state_dict(pairs)
    with torch.no_grad():
        assert torch.allclose(ClassToken(wider)(images()), ClassToken(theirs)(images()), atol=1e-5)


def test_a_token_that_no_patch_reaches_places_nothing() -> None:
    """Attention that writes nothing leaves all of the logits to the rest."""
    model = cast(Any, timms())
    for block in model.blocks:
        nn.init.zeros_(block.attn.proj.weight)
    with torch.no_grad():
        activations = ClassToken(model)(images())
        evidence = cam.explain(class_token_head(model), activations)
        assert torch.equal(evidence.maps, torch.zeros_like(evidence.maps))
        assert torch.allclose(evidence.bias, model(images()), atol=1e-5)


def test_a_gate_on_the_attention_is_no_cut() -> None:
    """What the decomposition does not know changes the logits, and the check of the cut sees it."""
    from whalecam.errors import ModelError

    model = cast(Any, timms())
    model.blocks[1].attn.norm = varied(nn.LayerNorm(WIDTH))
    with pytest.raises(ModelError, match="cannot be cut"):
        cut(model, SIDE)


@pytest.mark.parametrize("options", [{}, {"reg_tokens": 2}, {"reg_tokens": 1, "pool_include_prefix": True}])
def test_what_an_attention_pooling_reads_from_each_patch(options: dict[str, Any]) -> None:
    model = cast(Any, timms(global_pool="map", class_token=False, **options))
    before, pool, each = model.num_prefix_tokens, model.attn_pool, WIDTH // HEADS
    with torch.no_grad():
        found, expected = AttentionPooled(model)(images()), model(images())
        tokens = model.forward_features(images())
        read = tokens if model.pool_include_prefix else tokens[:, before:]
        skipped = before if model.pool_include_prefix else 0
        query = pool.q(pool.latent)[0, 0]
        for n in range(2):
            keys, values = pool.kv(read[n]).chunk(2, dim=1)
            slow = torch.zeros(GRID * GRID, WIDTH)
            for head in range(HEADS):
                columns = slice(head * each, (head + 1) * each)
                scores = torch.exp(keys[:, columns] @ query[columns] / each**0.5)
                for j in range(GRID * GRID):
                    share = scores[skipped + j] / scores.sum()
                    slow[j] += pool.proj.weight[:, columns] @ (share * values[skipped + j, columns])
            assert torch.allclose(found[n, :WIDTH].flatten(1).T, slow, atol=1e-5)
    parts = cut(model, SIDE)
    assert parts.way == "attention pooling" and exactness(parts.head) == "exact_here"
    evidence = cam.explain(attention_pooled_head(model), found)
    assert torch.allclose(evidence.logits, expected, atol=1e-5)
    assert float(evidence.completeness_error.max()) <= 1e-5 * float(expected.abs().max())
