"""The Findings tab of the Dataset page: what is wrong with the data set, and what people said about it."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from whalecam.analysis.findings import SEVERITIES, Finding, labels_map
from whalecam.app.components.download import download
from whalecam.app.components.gallery import gallery
from whalecam.app.screens import dataset
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.shell.run_commands import check_of, train_of
from whalecam.app.shell.start_job import ask_fallback, train_or_ask
from whalecam.app.state import fields, session
from whalecam.app.widgets import bulk_review
from whalecam.arrays import records, typed_records
from whalecam.config import TrainOptions, mending_of
from whalecam.data import Dataset
from whalecam.data.csv_text import safe_csv
from whalecam.store.reviews import Dismissal
from whalecam.store.run import Run

COLOURS = {"high": "red", "medium": "orange", "low": "yellow", "info": "blue"}
ICONS = {
    "high": ":material/error:",
    "medium": ":material/warning:",
    "low": ":material/help:",
    "info": ":material/info:",
}
SHOWN_ROWS, SHOWN_IMAGES = 200, 16
MEASURING = "Looking at every image"
LINKED_FINDING = "finding"
"""The parameter of a link that names the kind of finding whose rows it is about."""


def findings(run: Run, data: Dataset) -> None:
    """All findings, worst first, those set aside at the end."""
    _measuring(run, data)
    problems = session.findings_of(run)
    aside = {row["finding"]: row for row in records(session.dismissals_of(run).standing())}
    open_ = [finding for finding in problems if finding.key not in aside]
    dismissed = [finding for finding in problems if finding.key in aside]
    wanted = _summary(open_, len(dismissed))
    _merges(run, problems)
    for finding in open_:
        if finding.severity in wanted:
            _card(run, data, finding)
    if not any(finding.severity != "info" for finding in open_):
        st.success("No open finding is more severe than “info”.", icon=":material/check_circle:")
    if dismissed:
        st.header(f"Dismissed · {len(dismissed)}", anchor=False)
        for finding in dismissed:
            _set_aside(run, finding, aside[finding.key])


def _measuring(run: Run, data: Dataset) -> None:
    """How many images were looked at, and the button that looks at the rest."""
    total = int((data.good()["path"] != "").sum())
    done = len(session.properties_of(run))
    if not total:
        st.caption("There are no images to look at, so these findings come from the table alone.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        job = jobs.status(run.path)
        if st.button(
            "Look at every image" if done < total else "Look again",
            key="inspect",
            type="primary" if done < total else "secondary",
            icon=":material/image_search:",
            disabled=job is not None and job.state == "running",
            help="Finds broken files, duplicates, odd images and shortcuts. It goes on where it stopped.",
        ):
            with errors_shown():
                jobs.start(run.path, MEASURING, check_of(run))
                st.rerun()
        seen = f"{min(done, total):,} of {total:,} images looked at"
        st.caption(f"{seen}, for broken files, duplicates, odd images and shortcuts")


def _summary(open_: Sequence[Finding], dismissed: int) -> list[str]:
    """How many findings there are of each severity; a click hides or shows them."""
    counts = {name: sum(finding.severity == name for finding in open_) for name in SEVERITIES}
    chosen: list[str] = st.pills(
        "Severity",
        SEVERITIES,
        selection_mode="multi",
        default=list(SEVERITIES),
        key="finding_severity",
        format_func=lambda name: f"{ICONS[name]} {name.capitalize()} · {counts[name]}",
        label_visibility="collapsed",
    )
    if dismissed:
        st.caption(f"{dismissed} dismissed, listed at the end")
    return chosen


def _merges(run: Run, problems: Sequence[Finding]) -> None:
    """The merges that findings suggest: trained with at once, or as a file."""
    merges = labels_map(problems)
    if not len(merges):
        return
    those = f"these {len(merges):,} merges" if len(merges) > 1 else "this merge"
    with st.container(horizontal=True, vertical_alignment="center"):
        _train_merged(run, dict(zip(merges["old"], merges["new"], strict=True)), those)
        download(
            f"Download the labels map · {len(merges)} merge{'' if len(merges) == 1 else 's'}",
            lambda: safe_csv(merges),
            name="labels-map.csv",
            mime="text/csv",
            key="get_labels_map",
            icon=":material/call_merge:",
            help="old,new as train --labels-map takes it; the source CSV stays as it is.",
        )


def _train_merged(run: Run, merges: Mapping[str, str], those: str) -> None:
    """Train and audit with merged labels, which the run keeps, by the options of its last training."""
    trained, busy = run.manifest.train, jobs.is_running(run.path)
    options = TrainOptions() if trained.get("loaded") else TrainOptions.stored(trained)
    if mending_of(options.remedy) or not run.manifest.dataset.images:
        return
    replaced = "It replaces the network of this run and its audit; verdicts of people stay. " if run.trained else ""
    pressed = st.button(
        f"Train with {those}",
        key="train_merged",
        icon=":material/call_merge:",
        type="primary",
        disabled=busy,
        help=f"Trains and audits. {replaced}The run keeps the merges; the CSV stays as it is.",
    )
    if pressed:
        with errors_shown():
            known = {old: merges.get(new, new) for old, new in run.manifest.dataset.merges.items()}
            train_or_ask(run, train_of(run, options, audit=True, merges={**known, **merges}))
    ask_fallback(run)


def _card(run: Run, data: Dataset, finding: Finding) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(_headline(finding))
        st.markdown(f"**Why it matters** · {plain(finding.why)}  \n**What to do** · {plain(finding.todo)}")
        if finding.severity != "info":
            _dismissing(run, finding)
        if len(finding.rows):
            label, is_open = (
                f"Affected rows · {len(finding.rows):,}",
                fields.shared_value(LINKED_FINDING) == finding.code,
            )
            rows = st.expander(label, key=f"rows_{finding.key}", on_change="rerun", expanded=is_open)
            if rows.open:
                with rows:
                    _affected(run, data, finding)


def _headline(finding: Finding) -> str:
    name = finding.severity
    return f":{COLOURS[name]}-badge[{ICONS[name]} {name.capitalize()}] **{plain(finding.sentence)}**"


def _affected(run: Run, data: Dataset, finding: Finding) -> None:
    """Images, where there are any, the table, and all of it as CSV."""
    rows = finding.rows
    if "image" in rows:
        files = data.table.loc[data.table["path"] != "", ["image", "path"]].drop_duplicates("image")
        listed = rows.merge(files, on="image")
        if len(listed) > SHOWN_IMAGES:  # the worst, and the least: for a shortcut, the images at both ends
            listed = pd.concat([listed.head(SHOWN_IMAGES // 2), listed.tail(SHOWN_IMAGES // 2)])
        if len(listed):
            cards = [dataset.card_of(run, row) for row in typed_records(listed, dataset.DatasetRow)]
            gallery(cards, key=f"gallery_{finding.key}", selectable=False, openable=False, columns_min_px=120)
        bulk_review.offer(run, "of this finding", lambda: rows["image"].tolist(), f"all_{finding.key}")
    st.dataframe(rows.head(SHOWN_ROWS), hide_index=True, height=min(320, 38 + 35 * len(rows)))
    download(
        "Download these rows" if len(rows) <= SHOWN_ROWS else f"Download all {len(rows):,} rows",
        lambda: safe_csv(rows),
        name=f"{finding.code.replace('_', '-')}.csv",
        mime="text/csv",
        key=f"get_{finding.key}",
        icon=":material/download:",
    )


def _dismissing(run: Run, finding: Finding) -> None:
    with st.popover("Dismiss", icon=":material/do_not_disturb_on:", key=f"dismiss_{finding.key}"):
        reason = st.text_input("Reason", key=f"reason_{finding.key}", max_chars=300, placeholder="why it is no fault")
        if st.button("Dismiss the finding", key=f"set_aside_{finding.key}", type="primary"):
            with errors_shown():
                dismissal = Dismissal(finding.key, finding.sentence, reason, session.reviewer())
                session.dismissals_of(run).dismiss(dismissal)
                st.rerun()


def _set_aside(run: Run, finding: Finding, texts: dict[str, str]) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(_headline(finding))
        st.caption(plain(f"Dismissed by {texts['reviewer']}, {texts['at'][:10]}: {texts['reason']}"))
        if texts["sentence"] != finding.sentence:
            st.caption(plain(f"Its sentence at that time: {texts['sentence']}"))
        if st.button("Restore", key=f"restore_{finding.key}", icon=":material/undo:"):
            with errors_shown():
                session.dismissals_of(run).restore(finding.key, session.reviewer())
                st.rerun()
