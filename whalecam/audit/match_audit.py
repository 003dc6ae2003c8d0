"""Make and test the matches of individuals of a run: vectors, candidates, maps, exchanges. Resumable."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from whalecam import network as networks
from whalecam.arrays import Report, silent
from whalecam.audit.match_exchanges import audit_queries
from whalecam.audit.match_lookup import encoded, images_of
from whalecam.audit.run_audit import joined_sources
from whalecam.config import MASK_OPTIONS, POOLINGS, AuditOptions, MatchOptions
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
    if not {field: getattr(options, field) for field in ("masks", "boxes") if getattr(options, field)}:
        audit = AuditOptions.stored(run.manifest.audit)
        options = replace(options, **{name: getattr(audit, name) for name in MASK_OPTIONS})
    images = images_of(data, options)
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


def _check(options: MatchOptions) -> None:
    if options.pooling not in POOLINGS or options.candidates < 1 or options.limit < 0 or options.donors < 1:
        raise RunError(f"--pooling takes {', '.join(POOLINGS)}; --candidates and --donors one or more.")


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
