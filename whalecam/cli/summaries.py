"""A run in plain words: what it holds, its leaks, which labels stand out, and what to do next."""

import contextlib
import shlex
from collections.abc import Iterator, Sequence

import pandas as pd

from whalecam.analysis.accounting import rows_sentence
from whalecam.analysis.class_order import proposed_order
from whalecam.analysis.compare import METRICS, Comparison, Difference
from whalecam.analysis.compare.sentence import IN_WORDS, amount, leaks_sentence, sentence
from whalecam.analysis.placement import placement_of, refusal_of
from whalecam.analysis.recommendation import (
    Advice,
    Simulation,
    advise,
    cell,
    columns_of,
    leaks_summary,
    measured_of,
    name_of,
    remedy_words,
    step,
    unassessed_sentence,
)
from whalecam.analysis.token_caution import token_caution
from whalecam.arrays import records
from whalecam.commands import to_argv
from whalecam.config import ASSESSMENTS, Thresholds
from whalecam.errors import RunError
from whalecam.explain.masks import sentences
from whalecam.store.open_table import open_table
from whalecam.store.run import Run, list_runs, open_run
from whalecam.store.table import Table, Totals
from whalecam.text import SIGN, number, percent, percent_range, points, short
from whalecam.words import Words


def run_lines(run: Run, level: Thresholds = Thresholds()) -> Iterator[str]:
    """A run in lines."""
    yield from _about(run)
    if not run.parts():
        yield "Nothing is audited yet."
        if run.trained:
            yield next_command(["audit", str(run.path)])
        return
    table = open_table(run, level)
    facts, labels = table.overview(), table.per_label()
    yield from sentences(run.manifest.joins)
    sources = sorted(run.mask_sources().items(), key=lambda pair: -pair[1])
    yield "Masks of the table: " + ", ".join(f"{name} {count:,}" for name, count in sources)
    yield from _counts(run, table, facts)
    if caution := token_caution(run, table):
        yield from caution.sentences
    if order := proposed_order(table.confusion(), run.manifest.classes):
        yield order.sentence
    yield from _reliance(table, facts, level, run.words.background)
    yield from ("", *_labels(labels, bool(facts["measured"])))
    if missing := unassessed_sentence(facts, table.unassessed(), run.words):
        yield from ("", missing)
    yield from ("", f"The leaks: {leaks_summary(facts, labels, run.words)}")
    yield from advice_lines(run, advice_of(run, facts))


def advice_of(run: Run, facts: Totals) -> Advice:
    """What the evidence supports, by the run's simulation and by trainings in the same folder of runs."""
    others = []
    for path in list_runs(run.path.parent):
        with contextlib.suppress(RunError):
            others.append(open_run(path))
    return advise(run, facts, others)[0]


def advice_lines(run: Run, advice: Advice) -> Iterator[str]:
    """What to do about the leaks, why, and the command that does it."""
    yield f"What to do: {advice.sentence}"
    yield from (f"  - {line}" for line in advice.why)
    if command := step(run, advice):
        yield next_command(to_argv(command))


def simulation_lines(results: Simulation, words: Words, network: str = "present") -> Iterator[str]:
    """What each remedy would do to a network's answers, as a table; see `simulation.simulate`."""
    without = f" ({results['without_mask']:,} more have no mask)" if results["without_mask"] else ""
    if results.get("not_finite"):
        without += f" (of {results['not_finite']:,} more it gives NaN or infinite logits)"
    yield (
        f"The {network} network on {results['pictures']:,} images that it had not seen{without}, each on its own "
        f"{words.background} and on {results['waters']} {words.backgrounds} of other labels; in brackets 95\u00a0% "
        f"intervals over {words.groups}:"
    )
    titles = columns_of(words)
    metrics_by_name = {name_of(name, words): metrics["all"] for name, metrics in results["figures"].items()}
    keys = [key for key in titles if any(metrics.get(key) for metrics in metrics_by_name.values())]
    rows = [[name, *(cell(metrics.get(key), key) for key in keys)] for name, metrics in metrics_by_name.items()]
    yield from columns(["", *(titles[key] for key in keys)], rows)
    for name, why in results.get("impossible", {}).items():
        yield f"Not simulated, {name_of(name, words)}: {why}"


def retraining_lines(before: Run, made: Run, results: Simulation) -> Iterator[str]:
    """What training again changed.

    Args:
        results: what was simulated with the new network; see `simulation.simulate`.
    """
    remedy = str(made.manifest.train["remedy"])
    what = remedy_words(remedy, made.words)
    yield f"Run {made.name}: trained with {remedy} ({what}), audited like {before.name}."
    if note := made.metrics().get("note"):
        yield str(note)
    yield from simulation_lines(results, made.words, "new")
    for change in measured_of(before, [made]):
        yield f"Against {before.name}, on the same images: {change.changed}."
    yield next_command(["compare", str(before.path), str(made.path)])


def comparison_lines(comparison: Comparison, later: str) -> Iterator[str]:
    """What a run changed against the first one: in sentences, then figure by figure."""
    yield leaks_sentence(comparison, later) or "Confirmed leaks cannot be compared."
    yield sentence(comparison, later)
    rows = [
        _difference(difference, comparison.words) for difference in comparison.differences[later] if difference.is_shown
    ]
    yield from columns(["", comparison.names[0], later, "difference", "95\u00a0% interval", "corrected p"], rows)
    counts = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in comparison.counts[later].items())
    yield f"Images: {counts}"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells under each other, two blanks between the columns."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def next_command(verb: Sequence[str]) -> str:
    """The command to run next."""
    return f"Next: {shlex.join(['python', '-m', 'whalecam', *verb])}"


def _difference(difference: Difference, words: Words) -> list[str]:
    share = METRICS[difference.metric].share
    verdict = IN_WORDS[difference.verdict]
    return [
        METRICS[difference.metric].named(words),
        amount(difference.before, share),
        amount(difference.after, share),
        points(difference.difference, 1) if share else amount(difference.difference, share, True),
        f"{amount(difference.low, share, True)} to {amount(difference.high, share, True)}".replace(SIGN, ""),
        verdict if difference.corrected != difference.corrected else f"{short(difference.corrected, 2)}, {verdict}",
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
    if refusal := refusal_of(run):
        yield refusal
    if metrics.get("note"):
        yield str(metrics["note"])
    if metrics.get("n_valid"):
        yield (
            f"Right on {percent(metrics['accuracy'], 1)} of {metrics['n_valid']:,} images that it was not trained on "
            f"({run.words.labels} counted alike {percent(metrics['balanced_accuracy'], 1)}; loss "
            f"{number(metrics['valid_loss'])} nats)"
        )


def _counts(run: Run, table: Table, facts: Totals) -> Iterator[str]:
    """How much was audited, with what outcome."""
    words = run.words
    yield f"{rows_sentence(run.row_counts(), facts, table.unassessed())}."
    yield (
        f"Audited: {facts['images']:,} images, {facts['labels']:,} {words.labels}, {facts['groups']:,} {words.groups}; "
        f"{facts['reviewed']:,} reviewed, {facts['flagged']:,} flagged"
    )
    counts = dict(table.assessments().itertuples(index=False, name=None))
    yield "Assessments: " + ", ".join(
        f"{name.replace('_', ' ')} {counts[name]:,}" for name in ASSESSMENTS if name in counts
    )
    if len(reasons := table.reasons()):
        listed = ", ".join(f"{reason} {count:,}" for reason, count in reasons.itertuples(index=False, name=None))
        yield f"Attention cannot be assessed because: {listed}"
    if facts["measured"]:
        yield (
            f"BG-gap {number(facts['bg_gap'], signed=True)}; accuracy from the {words.background} alone "
            f"{percent(facts['background_only_accuracy'])}, where naming always the most frequent {words.label} "
            f"would be on {percent(table.majority())}"
        )


def _reliance(table: Table, facts: Totals, level: Thresholds, background: str) -> Iterator[str]:
    """Which classes rely on the background, and at which rate of false ones images are listed."""
    if not facts["measured"]:
        return
    if not facts["controlled"]:
        yield (
            f"An earlier version made this audit and did not control the false discovery rate: what relies on the "
            f"{background} is listed by a threshold. Audit again to list at a stated rate."
        )
        return
    tests = table.class_tests()
    words = [
        f"{test['predicted']} ({number(test['gap'], signed=True)})"
        for test in records(tests[tests["relies"]].sort_values("gap", ascending=False))
    ]
    yield (
        f"Predicted classes that rely on the {background} beyond chance: {', '.join(words) or 'none'}, of "
        f"{len(tests):,} "
        f"(BG-gap in brackets). Of the images that are listed within them, at most {percent(level.false_rate)} are "
        "false on average."
    )


def _labels(labels: pd.DataFrame, measured: bool) -> Iterator[str]:
    """One line per label, the leakiest first."""
    leaks = "confirmed" if measured else "suspects"
    rows = [
        [
            str(row["label"]),
            f"{row['images']:,}",
            percent(row["accuracy"]),
            f"{row[leaks]:,} of {row['assessable']:,}"
            + (f" ({percent_range(row['low'], row['high'])})" if row["assessable"] else ""),
            number(row["bg_gap"], signed=True),
        ]
        for row in records(labels.sort_values(["share", "label"], ascending=[False, True]))
    ]
    head = ["label", "images", "right (seen too)", "confirmed leaks" if measured else "suspects", "BG-gap"]
    return columns(head, rows)
