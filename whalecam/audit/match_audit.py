"""Make and test the matches of individuals of a run: vectors, candidates, maps, exchanges. Resumable."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from whalecam import network as networks
from whalecam.arrays import Report, silent
from whalecam.audit.match_exchanges import audit_queries
from whalecam.audit.match_lookup import MatchImages, encoded, images_of
from whalecam.audit.run_audit import joined_sources
from whalecam.config import ARCFACE, AUTO, MASK_OPTIONS, POOLINGS, AuditOptions, MatchOptions, TrainOptions
from whalecam.data import Dataset
from whalecam.errors import RunError
from whalecam.explain.masks import find_mask
from whalecam.network import embedding
from whalecam.network.embedding import EmbeddingNetwork
from whalecam.store.matches import MatchRecord, MatchTables
from whalecam.store.run import Run


@dataclass(frozen=True)
class MatchSummary:
    """What a call did: queries in the table, those new in this call, forward passes of the background test."""

    queries: int
    new: int
    passes: int
    restarted: bool
    record: MatchRecord


def audit_matches(
    run: Run,
    data: Dataset,
    options: MatchOptions,
    report: Report = silent,
    *,
    model: EmbeddingNetwork | None = None,
) -> MatchSummary:
    """Look every image up among all others, and test up to `options.limit` of the matches by their backgrounds.

    Args:
        model: the embedding network itself, instead of the one that `options.network` names.

    What was made with other options or another network is dropped first. Raises DatasetError without two individuals,
    for an unknown encounter and for masks that cannot be used, ModelError for a network without vectors, RunError for
    an option out of its range.
    """
    _check(options)
    options = replace(options, pooling=_pooling(run, options))
    if not {field: getattr(options, field) for field in ("masks", "boxes") if getattr(options, field)}:
        audit = AuditOptions.stored(run.manifest.audit)
        options = replace(options, **{name: getattr(audit, name) for name in MASK_OPTIONS})
    images = _without_trained(images_of(data, options), run, data, options, is_own=model is None)
    find = partial(
        find_mask,
        sources=joined_sources(data, AuditOptions(**{name: getattr(options, name) for name in MASK_OPTIONS})).sources,
        fallback=options.mask_method,
    )
    base = model or _network(run, options)
    base.to(networks.pick_device(options.device))
    tables, settings = MatchTables(run), _settings(run, data, options, base)
    record = tables.record
    restarted = record is not None and record.settings != settings
    if record is None or restarted:
        tables.clear()
    encoder, images, vectors, record = encoded(tables, images, base, options, settings=settings, report=report)
    new, passes = audit_queries(tables, images, vectors, encoder, find=find, options=options, report=report)
    return MatchSummary(len(tables.queries_done()), new, passes, restarted, record)


def _without_trained(
    images: MatchImages, run: Run, data: Dataset, options: MatchOptions, *, is_own: bool
) -> MatchImages:
    """The images, those not to be looked up that the run's network learned the individuals of.

    Raises RunError where a projection is to be fitted as well: no image would be left that neither has seen.
    """
    is_learned = run.trained and data.columns.label == data.columns.group
    if not (is_own and is_learned) or options.network:
        return images
    divided = images.trained_on(run.training_images())
    if options.fit and divided is not images:
        raise RunError(f"The network of run '{run.name}' was trained on its individuals already. Leave --fit out.")
    return divided


def _check(options: MatchOptions) -> None:
    if options.pooling not in POOLINGS or options.candidates < 1 or options.limit < 0 or options.donors < 1:
        raise RunError(f"--pooling takes {', '.join(POOLINGS)}; --candidates and --donors one or more.")


def _pooling(run: Run, options: MatchOptions) -> str:
    """The pooling that is asked for; `auto`: the vectors that a margin was trained on, else a generalised mean."""
    if options.pooling != AUTO:
        return options.pooling
    is_trained = not options.network and TrainOptions.stored(run.manifest.train).loss == ARCFACE
    return embedding.AS_BUILT if is_trained else "gem"


def _network(run: Run, options: MatchOptions) -> EmbeddingNetwork:
    if not options.network:
        if not run.trained:
            raise RunError(
                f"Run '{run.name}' has no network. Train one, or name an architecture or a checkpoint with --network."
            )
        base = networks.from_spec(run.manifest.network, run.load_checkpoint())
    elif Path(options.network).expanduser().exists():
        base = networks.load_checkpoint(Path(options.network).expanduser(), default_size=options.size).network
    else:
        base = embedding.of_body(options.network, options.size)
    return embedding.of_network(base, options.pooling)


def _settings(run: Run, data: Dataset, options: MatchOptions, base: EmbeddingNetwork) -> str:
    """What must stay the same for rows to stand in one table."""
    free = replace(options, limit=0, batch=0, device="")
    return f"{asdict(free)} {data.fingerprint} {run.manifest.model_sha256} {base.arch} {base.size} {base.resize}"
