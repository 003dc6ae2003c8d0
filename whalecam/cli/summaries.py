"""A run in plain words: what it holds, its leaks, which species stand out, and what to do next."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from whalecam.analysis.class_order import proposed_order
from whalecam.analysis.compare import METRICS, Comparison, Difference
from whalecam.analysis.compare.sentence import SAID, amount, leaks_sentence, sentence
from whalecam.analysis.placement import placement_of
from whalecam.analysis.recommendation import COLUMNS, NAMES, WORDS, Advice, advise, cell, leaks_found, measured_of, step
from whalecam.arrays import records
from whalecam.config import ASSESSMENTS, Thresholds
from whalecam.errors import RunError
from whalecam.explain.masks import sentences
from whalecam.store.open_table import open_table
from whalecam.store.run import Run, list_runs, open_run
from whalecam.store.table import Table


def told(run: Run, level: Thresholds = Thresholds()) -> Iterator[str]:
    """A run in lines."""
    yield from _about(run)
    if not run.parts():
        yield "Nothing is audited yet."
        if run.trained:
            yield said_next(["audit", str(run.path)])
        return
    table = open_table(run, level)
    facts, species = table.overview(), table.per_label()
    yield from sentences(run.manifest.joins)
    sources = sorted(run.mask_sources().items(), key=lambda pair: -pair[1])
    yield "Masks of the table: " + ", ".join(f"{name} {count:,}" for name, count in sources)
    yield from _counts(table, facts)
    if order := proposed_order(table.confusion(), run.manifest.classes):
        yield order.sentence
    yield from _reliance(table, facts, level)
    yield from ("", *_species(species, bool(facts["measured"])))
    yield from ("", f"The leaks: {leaks_found(facts, species)}")
    yield from advised(run, advice_of(run, facts))


def advice_of(run: Run, facts: Mapping[str, Any]) -> Advice:
    """What the evidence supports, by the run's simulation and by trainings in the same folder of runs."""
    others = []
    for path in list_runs(run.path.parent):
        with contextlib.suppress(RunError):
            others.append(open_run(path))
    return advise(run, facts, others)[0]


def advised(run: Run, advice: Advice) -> Iterator[str]:
    """What to do about the leaks, why, and the command that does it."""
    yield f"What to do: {advice.said}"
    yield from (f"  - {line}" for line in advice.why)
    if verb := step(run, advice):
        yield said_next(verb)


def simulated(found: Mapping[str, Any], network: str = "present") -> Iterator[str]:
    """What each remedy would do to a network's answers, as a table; see `simulation.simulate`."""
    without = f" ({found['without_mask']:,} more have no mask)" if found["without_mask"] else ""
    if found.get("not_finite"):
        without += f" (of {found['not_finite']:,} more it gives NaN or infinite logits)"
    yield (
        f"The {network} network on {found['pictures']:,} images that it had not seen{without}, each on its own water "
        f"and on {found['waters']} waters of other labels; in brackets 95 % intervals over individuals:"
    )
    told = {NAMES.get(name, name): one["all"] for name, one in found["figures"].items()}
    keys = [key for key in COLUMNS if any(one.get(key) for one in told.values())]
    rows = [[name, *(cell(one.get(key), key) for key in keys)] for name, one in told.items()]
    yield from columns(["", *(COLUMNS[key] for key in keys)], rows)


def retrained(before: Run, made: Run, found: Mapping[str, Any]) -> Iterator[str]:
    """What training again changed.

    Args:
        found: what was simulated with the new network; see `simulation.simulate`.
    """
    remedy = str(made.manifest.train["remedy"])
    yield f"Run {made.name}: trained with {remedy} ({WORDS.get(remedy, 'no remedy')}), audited like {before.name}."
    if note := made.metrics().get("note"):
        yield str(note)
    yield from simulated(found, "new")
    for one in measured_of(before, [made]):
        yield f"Against {before.name}, on the same images: {one.changed}."
    yield said_next(["compare", str(before.path), str(made.path)])


def compared(found: Comparison, later: str) -> Iterator[str]:
    """What a run changed against the first one: in sentences, then figure by figure."""
    yield leaks_sentence(found, later) or "Confirmed leaks cannot be compared."
    yield sentence(found, later)
    told = [one for one in found.differences[later] if one.told]
    yield from columns(
        ["", found.names[0], later, "difference", "95 % interval", "corrected p"], [_difference(one) for one in told]
    )
    counts = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in found.counts[later].items())
    yield f"Images: {counts}"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells under each other, two blanks between the columns."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def said_next(verb: Sequence[str]) -> str:
    """The command to run next."""
    return f"Next: {shlex.join(['python', '-m', 'whalecam', *verb])}"


def _difference(one: Difference) -> list[str]:
    share = METRICS[one.metric].share
    said = SAID[one.verdict]
    return [
        METRICS[one.metric].words,
        amount(one.before, share),
        amount(one.after, share),
        amount(one.difference, share, True).replace(" %", " points"),
        f"{amount(one.low, share, True)} to {amount(one.high, share, True)}".replace(" %", ""),
        said if one.corrected != one.corrected else f"{one.corrected:.2g}, {said}",
    ]


def _about(run: Run) -> Iterator[str]:
    """Where it came from and how it was trained."""
    network, train, metrics = run.manifest.network, run.manifest.train, run.metrics()
    yield f"Run {run.name} of {run.manifest.dataset.csv}, made {run.manifest.created}"
    if not run.trained:
        yield "It has no network yet."
        return
    remedy = train.get("remedy", "none")
    how = f", trained with {remedy}" if remedy != "none" else "" if train else ", loaded"
    yield (
        f"Network: {network.get('arch', '?')} at {network.get('size', '?')} px{how}; exactness of its maps: "
        f"{run.manifest.exactness}; sha256 {run.manifest.model_sha256[:12]}"
    )
    if (placement := placement_of(run)) and placement.is_partial:
        yield placement.sentence
    if metrics.get("note"):
        yield str(metrics["note"])
    if metrics.get("n_valid"):
        yield (
            f"Right on {metrics['accuracy']:.1%} of {metrics['n_valid']:,} images that it was not trained on "
            f"(species counted alike {metrics['balanced_accuracy']:.1%}; loss {metrics['valid_loss']:.2f} nats)"
        )


def _counts(table: Table, facts: Mapping[str, Any]) -> Iterator[str]:
    """How much was audited, with what outcome."""
    yield (
        f"Audited: {facts['images']:,} images, {facts['labels']:,} species, {facts['groups']:,} individuals; "
        f"{facts['reviewed']:,} reviewed, {facts['flagged']:,} flagged"
    )
    counts = dict(table.assessments().itertuples(index=False, name=None))
    yield "Verdicts: " + ", ".join(
        f"{name.replace('_', ' ')} {counts[name]:,}" for name in ASSESSMENTS if name in counts
    )
    if len(reasons := table.reasons()):
        said = ", ".join(f"{reason} {count:,}" for reason, count in reasons.itertuples(index=False, name=None))
        yield f"Not assessable because: {said}"
    if facts["measured"]:
        yield (
            f"BG-gap {facts['bg_gap']:+.2f}; accuracy from the water alone "
            f"{_share(facts['background_only_accuracy'])}, where naming always the most frequent species would be on "
            f"{_share(table.majority())}"
        )


def _reliance(table: Table, facts: Mapping[str, Any], level: Thresholds) -> Iterator[str]:
    """Which classes rely on the water, and at which rate of false ones images are listed."""
    if not facts["measured"]:
        return
    if not facts["controlled"]:
        yield (
            "This audit is from before rates of false ones were controlled: what needs the water is listed by a "
            "threshold. Audit again to list at a stated rate."
        )
        return
    tests = table.class_tests()
    words = [
        f"{test['predicted']} ({test['gap']:+.2f})"
        for test in records(tests[tests["relies"]].sort_values("gap", ascending=False))
    ]
    yield (
        f"Predicted classes that rely on the water beyond chance: {', '.join(words) or 'none'}, of {len(tests):,} "
        f"(BG-gap in brackets). Of the images that are listed within them, at most {level.false_rate:.0%} are "
        "false on average."
    )


def _species(species: pd.DataFrame, measured: bool) -> Iterator[str]:
    """One line per species, the leakiest first."""
    leaks = "confirmed" if measured else "suspects"
    rows = [
        [
            str(one["label"]),
            f"{one['images']:,}",
            _share(one["accuracy"]),
            f"{one[leaks]:,} of {one['assessable']:,}"
            + (f" ({one['low']:.0%} to {one['high']:.0%})" if one["assessable"] else ""),
            "–" if pd.isna(one["bg_gap"]) else f"{one['bg_gap']:+.2f}",
        ]
        for one in records(species.sort_values(["share", "label"], ascending=[False, True]))
    ]
    head = ["label", "images", "right (seen too)", "confirmed leaks" if measured else "suspects", "BG-gap"]
    return columns(head, rows)


def _share(value: Any) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.0%}"
