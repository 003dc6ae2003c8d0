"""The Model page's own pieces: forms that start the command line's verbs, live progress, results."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from whalecam.analysis.training_pace import pace_sentence
from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.gallery import gallery
from whalecam.app.shell import jobs, links
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.shell.run_commands import train_of
from whalecam.app.shell.start_job import ask_fallback, launch, train_or_ask
from whalecam.app.state import session
from whalecam.app.widgets import review_controls
from whalecam.app.widgets.mask_fields import mask_fields
from whalecam.commands import Audit
from whalecam.config import (
    BACKGROUND_TESTS,
    BOX_KINDS,
    LOSSES,
    MAPS,
    PROBE,
    SPLITS,
    TRAIN_REMEDIES,
    AuditOptions,
    TrainOptions,
)
from whalecam.explain.masks import mask_fallbacks
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table
from whalecam.store.training_metrics import SplitMetrics, TrainingMetrics
from whalecam.text import count, listed, number, percent, points
from whalecam.words import Words, capital

ARCHS = (
    "efficientnet_lite0",
    "efficientnet_lite0_fine",
    "resnet18",
    "resnet34",
    "resnet50",
    "convnext_tiny",
    "mobilenetv3_large_100",
)
RESULTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Accuracy", "accuracy", partial(percent, digits=1)),
    ("Balanced accuracy", "balanced_accuracy", partial(percent, digits=1)),
    ("Validation loss", "valid_loss", partial(number, digits=3)),
    ("Trained on", "n_train", count),
    ("Evaluated on", "n_valid", count),
)
"""Titles, names in `metrics.json`, and how each is written."""
SHOWN = 12
LOSS_VALUES = {"train_loss", "valid_loss"}
"""What a training reports of its batches and epochs."""
LOOKED_AT = 8
"""Other runs whose trainings may say how long one takes."""
HEAD_ONLY = "0: head only"
"""Name of the epoch in which the body is frozen."""
FINDERS = "net: a small network of ours, with how sure it is · border: what differs in colour from the image's border"
GROUPS = "What a split keeps on one side: folder, source, photographer, camera, day, place, or a column of the table"
SPLIT_FILES = "In place of a split: a table with the columns image and split or fold, or a folder of train.txt, val.txt"
REMEDIES = (
    "crop, neutral: train on mended images · shuffle: backgrounds exchanged between labels, anew every epoch · "
    "restrict: the loss penalizes evidence off the {words.subject}; four trainings, the last of which counts; "
    "fine-tuning only"
)
MARGIN = (
    "cross-entropy: the usual one · arcface: an angular margin between labels, for {words.groups}, whose matches then "
    "compare its vectors; fine-tuning only"
)
TRAININGS = {"fast": "Fine-tune", PROBE: "Linear probe"}
PROBING = (
    "Fine-tune: all layers, for the epochs above. Linear probe: a linear layer over the pretrained body as it is, in "
    "seconds; epochs, learning rate and batch do not apply"
)
DRAWN = (
    "auto: exact maps where the network has positions, else none · propagation: through all layers of a vision "
    "transformer with a class token, a backward pass for each class · occlusion: by covering parts of the image, 50 "
    "forward passes an image, approximate · none: what the network relies on alone"
)
TESTS = (
    "Puts the {words.subject} on the {words.background} of other images. all: every image, 6 to 18 forward passes "
    "each · auto: suspects and "
    "2,000 others · none: attention alone, which proves nothing"
)


def train_form(run: Run) -> None:
    """How to train; starts `whalecam train` beside the pages."""
    with st.form("train"):
        options = _training_fields(run)
        merges = _merges(run)
        note = "Training again replaces the network and its audit; verdicts of people stay." if run.trained else ""
        busy = jobs.is_running(run.path)
        with st.container(horizontal=True):
            both = st.form_submit_button("Train and audit", type="primary", help=note or None, disabled=busy)
            alone = st.form_submit_button("Train", help=note or None, disabled=busy)
        st.caption(plain(_how_long(run)))
        if both or alone:
            with errors_shown():
                train_or_ask(run, train_of(run, options, audit=both, merges=merges))
    ask_fallback(run)


def _merges(run: Run) -> Mapping[str, str]:
    """The labels map of the run, or none, where somebody wants its labels as the table has them."""
    merges = run.manifest.dataset.merges
    if not merges:
        return {}
    renamed = listed([f"{old} → {new}" for old, new in merges.items()], SHOWN)
    return merges if st.checkbox(f"Merge labels: {plain(renamed)}", True, key="train_merges") else {}


def _how_long(run: Run) -> str:
    """How long a training may take, by those of this run and of the newest others."""
    usable = len(session.data_of(run).good())
    return pace_sentence((run, *session.other_runs(run, LOOKED_AT)), round((1 - TrainOptions.valid_share) * usable))


def _training_fields(run: Run) -> TrainOptions:
    """The fields of a training, the few that most people change first; a linear probe has no epochs and no batch."""
    default = TrainOptions()
    first, second, third = st.columns(3)
    arch = first.selectbox("Architecture", ARCHS, accept_new_options=True, help="Any torchvision or timm name")
    recipe = second.selectbox("Recipe", TRAININGS, format_func=lambda name: TRAININGS[name], help=PROBING)
    epochs = third.number_input("Epochs", 1, 200, default.epochs, help="After one epoch with the body frozen")
    with st.expander("More options"):
        options = replace(_split_fields(run.words), arch=str(arch), recipe=recipe)
        first, second, third, fourth = st.columns(4)
        size = first.number_input("Size (px)", 32, 512, default.size, 32)
        lr = second.number_input(
            "Learning rate", 1e-6, 1.0, default.lr, format="%.5f", help="Peak of the one-cycle schedule"
        )
        batch = third.number_input("Batch", 4, 512, default.batch, help="Smaller for small sets, by itself")
        seed = fourth.number_input("Seed", 0, 9999, 0)
        first, second, third = st.columns([1, 1, 2])
        remedy = first.selectbox("Remedy", TRAIN_REMEDIES, help=REMEDIES.format(words=run.words))
        loss = second.selectbox("Loss", LOSSES, help=MARGIN.format(words=run.words))
        least = third.number_input("Images per class, at least", 1, 1000, 1, width=260)
        pretrained = st.checkbox("Start from ImageNet weights", True)
    options = replace(
        options, size=size, min_per_class=least, seed=seed, remedy=remedy, loss=loss, pretrained=pretrained
    )
    return options if recipe == PROBE else replace(options, epochs=epochs, lr=lr, batch=batch)


def _split_fields(words: Words) -> TrainOptions:
    """How held-out images are chosen."""
    first, second, third, fourth = st.columns(4)
    split = first.selectbox(
        "Split", SPLITS[::-1], help=f"group: no {words.group} on both sides. random: each image by chance"
    )
    group = second.text_input("Group", placeholder=words.group, help=GROUPS)
    split_file = third.text_input("Split file", placeholder="none", help=SPLIT_FILES)
    folds = fourth.number_input(
        "Folds",
        1,
        10,
        1,
        help="More than one: every image is predicted by a network that was trained on neither it nor its "
        f"{words.group}; it takes as many times as long",
    )
    compare = st.checkbox(
        "Compare with the other split",
        help=f"One more training, which shows what shared {words.groups} add to the accuracy",
    )
    return TrainOptions(
        split=split,
        folds=folds,
        compare_splits=compare,
        group=group.strip(),
        split_file=split_file.strip() or None,
    )


def audit_form(run: Run) -> None:
    """Masks, boxes and limit; starts `whalecam audit` beside the pages."""
    stored = AuditOptions.stored(run.manifest.audit)
    with st.form("audit"):
        masks = mask_fields(stored, run.words)
        first, second, third, fourth, fifth = st.columns(5)
        kind = first.selectbox("The boxes show", BOX_KINDS, BOX_KINDS.index(stored.box_kind))
        method = second.selectbox(
            f"Otherwise find the {run.words.subject} by",
            mask_fallbacks(),
            mask_fallbacks().index(stored.mask_method) if stored.mask_method in mask_fallbacks() else 0,
            help=FINDERS,
        )
        test = third.selectbox(
            "Background test",
            BACKGROUND_TESTS,
            BACKGROUND_TESTS.index(stored.background_test),
            help=TESTS.format(words=run.words),
        )
        limit = fourth.number_input("First rows only", 0, None, 0, help="0: all rows")
        maps = fifth.selectbox("Maps", MAPS, MAPS.index(stored.maps), help=DRAWN)
        is_ready = run.trained and not jobs.is_running(run.path)
        if st.form_submit_button("Audit", type="primary", disabled=not is_ready):
            options = AuditOptions(
                **vars(masks),
                box_kind=kind,
                mask_method=method,
                background_test=test,
                maps=maps,
                limit=limit or None,
            )
            launch(run, "Audit", Audit(run=str(run.path), options=options))
    for kind, join in run.manifest.joins.items():
        line = st.warning if join["unused"] or join["matched"] < join["images"] else st.caption
        line(plain(f"{kind.capitalize()}: {join['sentence']}"))


@st.fragment(run_every=2.0)
def live(run: Run) -> None:
    """The loss curve while a training runs."""
    job = jobs.status(run.path)
    steps = [step for step in job.steps if LOSS_VALUES & set(step["values"])] if job else []
    if job and job.state == "running" and steps:
        reports, done = [step["values"] for step in steps], [step["done"] for step in steps]
        chart, alt = audit_charts.losses(reports, done), alternatives.losses(reports, done)
        st.plotly_chart(chart, key="live_losses", config=audit_charts.NO_TOOLS, alt=alt)


def results(run: Run, metrics: TrainingMetrics) -> None:
    """Accuracy, balanced accuracy, loss, and what the split kept apart."""
    st.header("Results", anchor=False)
    with st.container(horizontal=True):
        for label, name, write in RESULTS:
            if (value := metrics.get(name)) is not None:
                st.metric(label, write(value), border=True)
        if metrics.get("shared_individuals") is not None:
            st.metric(*_on_both_sides(metrics, run.words), border=True)
    _splits(metrics, run.words)
    if metrics.get("never_judged"):
        names = ", ".join(metrics["never_judged"])
        st.info(
            plain(
                "Labels without a held-out prediction, because all images of each are of one "
                f"{metrics.get('group') or run.words.group}: {names}."
            ),
            icon=":material/info:",
        )
    notes = (metrics.get("note") or "", *metrics.get("split_notes", ()))
    st.caption(plain(" ".join((_trained_how(run.manifest.network, metrics), *filter(None, notes)))))


def _on_both_sides(metrics: TrainingMetrics, words: Words) -> tuple[str, str]:
    """Of what the split keeps together, how much of the held-out images is in training too."""
    if "shared_groups" in metrics:
        return f"Same {plain(metrics['group'])} on both sides", percent(metrics["shared_groups"])
    return f"{capital(words.groups)} on both sides", percent(metrics["shared_individuals"])


def _trained_how(network: Mapping[str, Any], metrics: TrainingMetrics) -> str:
    """Architecture, input and split in one sentence. A loaded network has no split that is known."""
    words = [f"{network.get('arch')} at {network.get('size')} px", str(network.get("resize"))]
    if metrics.get("split"):
        words.append(f"split: {metrics['split']}" + (f" by {metrics['group']}" if metrics.get("group") else ""))
    words += [f"{metrics['folds']} folds"] if metrics.get("folds", 1) > 1 else []
    return f"{', '.join(words)}."


def confusion_title(metrics: TrainingMetrics) -> str:
    """What the confusion counts are of: held-out images are known only where the split is."""
    return "Confusion on images that were not trained on" if metrics.get("split") else "Confusion on the audited images"


def _splits(metrics: TrainingMetrics, words: Words) -> None:
    """What accuracy owes to groups that stand on both sides of a random split."""
    other = metrics.get("other_split")
    if not other:
        return
    by: dict[str, SplitMetrics] = {metrics["split"]: metrics, other["split"]: other}
    random, grouped = by["random"], by["group"]
    drop = random["accuracy"] - grouped["accuracy"]
    group = plain(str(metrics.get("group") or words.group))
    shared = random["shared_groups"] if metrics.get("group") else random["shared_individuals"]
    st.markdown(
        f"On a **random** split the same recipe is right in {percent(random['accuracy'], 1)}, with the {group} "
        f"of {percent(shared)} of the validation images in training too; **grouped** by {group} in "
        f"{percent(grouped['accuracy'], 1)}. The random split owes to the {group}: **{points(drop, 1)}**."
    )


def epochs(metrics: TrainingMetrics) -> None:
    """The epoch table."""
    st.header("Epochs", anchor=False)
    if not metrics.get("epochs"):
        st.caption("This network was loaded, not trained here.")
        return
    form: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="%.3f")
        for name in ("train_loss", "valid_loss", "accuracy", "seconds")
    }
    form["epoch"] = st.column_config.TextColumn(width="medium")
    table = pd.DataFrame(metrics["epochs"])
    if "epoch" in table:
        table["epoch"] = [HEAD_ONLY if epoch == 0 else str(epoch) for epoch in table["epoch"]]
    st.dataframe(table, hide_index=True, column_config=form)


def pairs(run: Run, metrics: TrainingMetrics) -> pd.DataFrame:
    """The confusion counts: from the audit where there is one, else from the training's own validation."""
    if run.parts():
        return session.table_of(run).confusion()
    grid = metrics.get("confusion") or []
    names = run.manifest.classes
    rows = [
        {"label": names[i], "predicted": names[j], "images": n}
        for i, line in enumerate(grid)
        for j, n in enumerate(line)
    ]
    return pd.DataFrame(rows, columns=["label", "predicted", "images"])


def open_cell(event: Any) -> None:
    """A click on a cell opens its images in Top losses."""
    cells = event["selection"]["points"]
    if cells and st.button(f"Show {cells[0]['y']} predicted as {cells[0]['x']}", key="open_cell"):
        links.go("Top losses", losses_label=[cells[0]["y"]], losses_predicted=[cells[0]["x"]])


def show_results(run: Run, table: Table) -> None:
    """A fixed random sample of unseen images with label and prediction, as fastai's show_results."""
    rows = table.page(Filters(in_training=False), "random", SHOWN)
    rows = rows[rows["predicted"].notna()]  # an image that cannot be read has no result
    event = gallery(review_controls.cards_of(run, table, rows, heat=False), key="results", selectable=False)
    if event.opened:
        review_controls.open_image(event.opened)
