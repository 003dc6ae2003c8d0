"""Matches that rest on the water, against the exact counterfactual: the query drawn again on another sea.

    python -m benchmarks.matches FOLDER [--individuals 40] [--seed 0] [--seed 1] [--queries 100] [--epochs 0]

Truth, for each match: how much further the probability of the matched individual falls where the same fin is drawn
again in the same pose and light on four other seas than where it is drawn on its own with other waves, twice. What
falls on its own sea too does not rest on that sea. As many further drawings of each kind tell the same as well as
anything can that looks at the image: the AUROC of *drawn anew*, and the false ones of a list made by it.

The vectors are those of EfficientNet-Lite0 as ImageNet left it. With `--epochs`, the whole network is trained on the
individuals of each set first, by ArcFace, on four fifths of the encounters; the matches of the others are tested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from whalecam import network
from whalecam.assessment import retrieval
from whalecam.assessment.match_reliance import LEAST_DROP
from whalecam.audit.match_audit import audit_matches
from whalecam.config import ARCFACE, FALLBACK_ARCH, Columns, MatchOptions, Thresholds, TrainOptions
from whalecam.data import geometry, open_dataset, read_sample
from whalecam.data.encounters import TRAIN
from whalecam.demo.encounters import CLEAN, LEAKY, write_encounters
from whalecam.explain.background_test.match_exchange import Lookup, fitted_sharpness
from whalecam.network import embedding
from whalecam.network.embedding import EmbeddingNetwork
from whalecam.network.training import train
from whalecam.store.manifest import DatasetRecord
from whalecam.store.matches import MatchTables
from whalecam.store.run import MATCH_IMAGES, create_run

SIZE, FALLS, POOLING = 160, 0.5, "gem"
SETS = (LEAKY, CLEAN)
LEVELS = (0.1, 0.25)
"""A listed match that falls by no more than this is false: the first level for none at all."""


@dataclass(frozen=True)
class Measured:
    """One set: its matches with `fall`, the truth, and `anew`, the same by further drawings; and its accuracies."""

    rows: pd.DataFrame
    top1: float
    without_encounter: float
    placebo: float


def measure(
    folder: Path, kind: str, elsewhere: Sequence[Path], again: Sequence[Path], *, queries: int, epochs: int
) -> Measured:
    """Make the matches of one drawn set, and look each query up again as it is drawn elsewhere, and again."""
    columns = Columns(label="individual_id") if epochs else Columns()
    data = open_dataset(folder / kind / "train.csv", folder / kind / "images", columns)
    run = create_run(folder / f"run-{kind}-{epochs}", DatasetRecord.of(data))
    options = MatchOptions(size=SIZE, limit=queries, masks=str(folder / kind / "masks"))
    if epochs:
        train(data, run, TrainOptions(loss=ARCFACE, epochs=epochs, size=SIZE))
        encoder = embedding.of_network(network.from_spec(run.manifest.network, run.load_checkpoint()))
    else:
        options = replace(options, network=FALLBACK_ARCH, pooling=POOLING)
        encoder = embedding.of_network(embedding.of_body(FALLBACK_ARCH, SIZE), POOLING)
    record = audit_matches(run, data, options).record
    tables = MatchTables(run)
    rows = tables.assessed()
    for name, half in (("fall", slice(0, None, 2)), ("anew", slice(1, None, 2))):
        rows[name] = falls(tables, encoder, rows, elsewhere[half]) - falls(tables, encoder, rows, again[half])
    reached = (record.with_encounter, record.without_encounter, record.placebo)
    return Measured(rows, *(float(each.top1 or 0) for each in reached))


def falls(
    tables: MatchTables, encoder: EmbeddingNetwork, rows: pd.DataFrame, elsewhere: Sequence[Path]
) -> NDArray[np.float64]:
    """How far the probability of each matched individual falls where the query is drawn elsewhere, in the mean."""
    images, vectors = tables.read(MATCH_IMAGES), tables.vectors()
    who = np.unique(images["individual"], return_inverse=True)[1].astype(np.int64)
    gallery, unseen = retrieval.gallery_of(vectors, who), np.where(images["part"] == TRAIN, -1, who)
    lookup = Lookup(gallery, fitted_sharpness(gallery, vectors, unseen))
    place = {name: at for at, name in enumerate(images["image"])}
    fallen = []
    for row in rows.itertuples():
        files = [sea / "images" / str(row.query) for sea in elsewhere]
        inputs = [geometry.to_input(read_sample(file, file.name).pixels, SIZE, "squish") for file in files]
        again = retrieval.unit(encoder.vectors(np.stack(inputs)).numpy())
        at, column = place[row.query], who[place[row.candidate]]
        before = lookup.probabilities(vectors[at : at + 1], at)[0, column]
        fallen.append(before - lookup.probabilities(again, at)[:, column].mean())
    return np.array(fallen)


def summary(name: str, measured: Measured) -> str:
    """AUROC, recall and false ones of one set, a line."""
    rows = measured.rows[measured.rows["drop"].notna()]
    truth, listed = rows["fall"] > FALLS, rows["q_value"] <= Thresholds().false_rate
    scores = {"the drop": rows["drop"], "the map": rows["attention_score"].fillna(0), "drawn anew": rows["anew"]}
    known = truth.any() and not truth.all()
    aurocs = ", ".join(
        f"{key} {roc_auc_score(truth, values) if known else np.nan:.3f}" for key, values in scores.items()
    )
    recall = float((listed & truth).sum() / max(1, truth.sum()))
    return (
        f"{name}: {len(rows)} matches, {int(truth.sum())} fall by more than {FALLS}; AUROC of {aurocs}; listed "
        f"{_list_line(rows, listed)}; recall {recall:.2f}; drawn anew {_list_line(rows, rows['anew'] >= LEAST_DROP)}; "
        f"top-1 {measured.top1:.3f}, without the encounter {measured.without_encounter:.3f}, placebo "
        f"{measured.placebo:.3f}"
    )


def _list_line(rows: pd.DataFrame, listed: pd.Series) -> str:
    """How many a list has, and how many of these are false."""
    false = ", ".join(f"{int((listed & (rows['fall'] <= level)).sum())} by {level} or less" for level in LEVELS)
    return f"{int(listed.sum())}, of which fall {false}"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--individuals", default=40, show_default=True)
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,))
@click.option("--queries", default=100, show_default=True)
@click.option("--epochs", default=0, show_default=True)
def main(folder: Path, individuals: int, seeds: Sequence[int], queries: int, epochs: int) -> None:
    """Draw, match and compare with the counterfactual."""
    torch.set_num_threads(1)
    for seed in seeds:
        place = folder / f"seed-{seed}"
        sets = write_encounters(place, individuals=individuals, seed=seed)
        for kind in SETS:
            again = sets.leaky_again if kind == LEAKY else sets.clean_again
            measured = measure(place, kind, sets.elsewhere, again, queries=queries, epochs=epochs)
            measured.rows.to_parquet(place / f"{kind}.parquet")
            click.echo(summary(f"seed {seed}, {kind}", measured))


if __name__ == "__main__":
    main()
