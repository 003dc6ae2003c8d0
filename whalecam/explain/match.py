"""What the similarity of two images is made of, position by position, on either image and on both at once."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.arrays import FloatArray
from whalecam.explain.cam import Evidence, explain

LEAST_LENGTH = 1e-12
"""A shorter vector has no direction: it is similar to nothing."""


@dataclass(frozen=True)
class SimilarityMaps:
    """What each position of N images adds to their cosine similarity with G others.

    Attributes:
        maps: (N, G, h, w), in units of the similarity; signed.
        bias: (N, G), what no position adds, from the biases of the layers behind the pooling.
        similarity: (N, G) in [-1, 1], of the vectors themselves.
        completeness_error: (N, G) ≥ 0: `|Σ_ij maps + bias − similarity|`.
    """

    maps: Tensor
    bias: Tensor
    similarity: Tensor
    completeness_error: Tensor


def placed(head: nn.Module, activations: Tensor) -> Evidence:
    """What each position adds to each number of the vectors, by `cam.explain` in double precision.

    A projection of standardised features adds large numbers of both signs, of which float32 leaves 1e-4 unexplained.

    Args:
        head: from activations (N, K, h, w) to vectors (N, D), in eval mode.

    Returns: `maps` (N, D, h, w), `bias` and `logits`, which are the vectors, (N, D); all float64. Raises ModelError for
    a head that sees no positions.
    """
    return explain(copy.deepcopy(head).double(), activations.double())


def similarity_maps(evidence: Evidence, others: Tensor) -> SimilarityMaps:
    """Split the similarities of N images with G others over the positions of the N images.

    A vector is a sum over positions, `v = Σ_ij E[:, ij] + b`, so its cosine with another, `v·u / (|v| |u|)`, is a sum
    of `E[:, ij]·u / (|v| |u|)` and of `b·u / (|v| |u|)`: both lengths are those of the images as they are. Behind plain
    average pooling that is `Σ_ij a_ij·q / (hw |p| |q|)` (Stylianou et al., WACV 2019); behind a generalised mean, each
    pooled channel comes from where `a^p` is.

    Args:
        evidence: of the N images, by `placed`.
        others: (G, D), vectors of any length.

    Raises ValueError for vectors of different lengths D.
    """
    towards = _directions(others, evidence.logits)
    scale = _lengths(evidence.logits).reciprocal()
    maps = torch.einsum("ndij,gd->ngij", evidence.maps, towards) * scale[:, None, None, None]
    bias = (evidence.bias @ towards.T) * scale[:, None]
    return _checked(maps, bias, torch.nn.functional.normalize(evidence.logits, eps=LEAST_LENGTH) @ towards.T)


def paired_maps(evidence: Evidence, others: Tensor) -> SimilarityMaps:
    """As `similarity_maps`, of N images with one other each: `others` is (N, D), and the results have G = 1."""
    towards = _directions(others, evidence.logits)
    if len(towards) != len(evidence.logits):
        raise ValueError(f"{len(evidence.logits)} images need as many others, not {len(towards)}")
    scale = _lengths(evidence.logits).reciprocal()
    maps = torch.einsum("ndij,nd->nij", evidence.maps, towards) * scale[:, None, None]
    bias = (evidence.bias * towards).sum(dim=1) * scale
    own = torch.nn.functional.normalize(evidence.logits, eps=LEAST_LENGTH)
    return _checked(maps[:, None], bias[:, None], (own * towards).sum(dim=1)[:, None])


def position_pairs(first: Evidence, second: Evidence) -> Tensor:
    """What each pair of positions adds to the similarity of N pairs of images, (N, h, w, h', w'); signed.

    Summed over the second image's positions it is the map of the first, less what the second one's bias adds; and the
    other way round. Where neither head has a bias, both sums are exact.
    """
    length = _lengths(first.logits) * _lengths(second.logits)
    pairs = torch.einsum("ndij,ndkl->nijkl", first.maps, second.maps)
    return pairs / length[:, None, None, None, None]


def context_ratio(background_share: FloatArray) -> NDArray[np.float64]:
    """How much evidence the background gives for one part of the subject's: share / (1 − share), 0 or more.

    1: as much as the subject; infinite where all of it lies on the background. NaN stays NaN.
    """
    share = np.asarray(background_share, np.float64)
    return np.asarray(np.divide(share, 1 - share, out=np.full_like(share, np.inf), where=share != 1))


def _directions(others: Tensor, vectors: Tensor) -> Tensor:
    if others.ndim != 2 or others.shape[1] != vectors.shape[1]:
        raise ValueError(f"vectors of {vectors.shape[1]} numbers cannot be compared with {tuple(others.shape)}")
    return torch.nn.functional.normalize(others.to(vectors), eps=LEAST_LENGTH)


def _lengths(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1)
    return lengths.clamp_min(LEAST_LENGTH)


def _checked(maps: Tensor, bias: Tensor, similarity: Tensor) -> SimilarityMaps:
    return SimilarityMaps(maps, bias, similarity, (maps.sum(dim=(2, 3)) + bias - similarity).abs())
