"""Matches of individuals: which animal an image is most similar to, and whether that rests on the background."""

from typing import Any, cast

import pandas as pd
from torch import nn

from whalecam.api.options import with_options
from whalecam.arrays import Report, silent
from whalecam.audit import run_audit
from whalecam.audit.match_audit import MatchSummary, audit_matches
from whalecam.config import MatchOptions
from whalecam.data import Dataset
from whalecam.network import embedding
from whalecam.network.embedding import EmbeddingNetwork, Encode
from whalecam.output.csv.match_file import match_rows
from whalecam.store.run import Run as StoredRun

SIDE = 224


def open_encoder(
    model: nn.Module | None = None, *, encode: Encode | None = None, size: int = SIDE, resize: str = "squish"
) -> EmbeddingNetwork:
    """An embedding network in memory, for `matches`.

    Args:
        model: a module whose outputs are vectors (N, D); it is copied and cut before its pooling.
        encode: instead of a model, a function: uint8 (N, size, size, 3), RGB → vectors (N, D). It has no maps; the
            background test needs none.
        size: side of the input, px.
        resize: how an image becomes a square: `squish`, `crop` or `pad`.

    Returns: the network, cut before its pooling, in eval mode. Raises TypeError for a model and a function together or
    for neither, ModelError where the module cannot be cut or the function gives no vectors.
    """
    if (model is None) == (encode is None):
        raise TypeError("open_encoder takes either a model, or a function as encode=…")
    if model is not None:
        return embedding.of_module(model, size, resize=resize)
    return embedding.of_function(cast(Encode, encode), size, resize)


def matches(
    run: StoredRun,
    data: Dataset | None = None,
    *,
    model: EmbeddingNetwork | None = None,
    report: Report = silent,
    **options: Any,
) -> MatchSummary:
    """Look every individual up among all other images, and test which matches rest on the background. Resumable.

    Args:
        data: another data set than the run's own; its group column names the individuals.
        model: an embedding network in memory, of `open_encoder`.
        options: fields of `MatchOptions`, such as `encounter=("day",)`, `fit=True` or `masks="masks/"`.

    Returns: counts, and `record`: accuracies with and without images of the query's own encounter. The rows are those
    of `match_table`. Raises TypeError for an unknown option, DatasetError without two individuals and for an unknown
    encounter, ModelError for a network without vectors, RunError where the run has no network and none is named.
    """
    if isinstance(options.get("encounter"), str):
        options["encounter"] = (options["encounter"],)
    images = data or run_audit.open_data(run)
    return audit_matches(run, images, with_options(MatchOptions(), options), report, model=model)


def match_table(run: StoredRun) -> pd.DataFrame:
    """One row per query with its best candidate, its scores and the verdict that stands (docs/individuals.md).

    Raises RunError where the run has no matches.
    """
    return match_rows(run)
