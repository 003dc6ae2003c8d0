"""The Export page's own pieces: choice, preview, downloads, import with a report."""

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from whalecam.app.components.download import download
from whalecam.app.screens.report_button import report_button
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import session
from whalecam.config import EXPORT_CHOICES, SUSPECT_ASSESSMENTS
from whalecam.errors import WhalecamError
from whalecam.output import csv, interchange
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table

WORDS = {"flagged": "flagged", "reviewed": "reviewed", "suspects": "suspects", "all": "all images"}
PREVIEW = 200
ROW_HEIGHT, SHOWN_ROWS = 35, 12
"""Of the preview: the height of a row in px, and how many rows stand there without scrolling."""


def progress(table: Table) -> None:
    """How far the review is."""
    facts = table.overview()
    with st.container(horizontal=True):
        st.metric("Flagged", f"{facts['flagged']:,}", border=True)
        st.metric("Reviewed", f"{facts['reviewed']:,}", border=True)
        st.metric("Suspects", f"{table.count(Filters(assessments=SUSPECT_ASSESSMENTS)):,}", border=True)
        st.metric("Images", f"{facts['images']:,}", border=True)


def choose() -> str:
    """Which rows go out."""
    return str(
        st.segmented_control(
            "Rows",
            EXPORT_CHOICES,
            default="flagged",
            key="export_only",
            bind="query-params",
            required=True,
            format_func=lambda name: WORDS[name],
        )
    )


def rows(run: Run, table: Table, only: str, limit: int = csv.ALL) -> pd.DataFrame:
    """The rows of the CSV by name, or the first `limit` of them."""
    reviews, level = session.latest_reviews(run), session.thresholds()
    return csv.verdict_rows(run, table, reviews, thresholds=level, only=only, limit=limit)


def preview(run: Run, table: Table, only: str) -> None:
    """What the file will hold."""
    count = table.count(csv.CHOSEN[only])
    if not count:
        st.info(
            "Nobody has flagged an image yet." if only == "flagged" else f"No row is among “{WORDS[only]}”.",
            title="Nothing to export",
            icon=":material/flag:",
        )
        st.page_link("pages/5_Leaks.py", label="Review the suspects", icon=":material/arrow_forward:")
        return
    st.caption(f"{count:,} rows; the first {min(PREVIEW, count)} are shown")
    st.dataframe(rows(run, table, only, PREVIEW), hide_index=True, height=ROW_HEIGHT * (min(count, SHOWN_ROWS) + 1) + 3)


def downloads(run: Run, table: Table, only: str) -> None:
    """The CSV, and the source CSV without the flagged rows; both written when they are asked for."""
    with st.container(horizontal=True):
        download(
            "Download the CSV",
            lambda: csv.verdict_file(rows(run, table, only), run),
            name=f"{run.name}-{only}.csv",
            mime="text/csv",
            key="get_csv",
            type="primary",
            icon=":material/download:",
            disabled=not table.count(csv.CHOSEN[only]),
        )
        record = run.manifest.dataset
        reviews = session.latest_reviews(run)
        flagged = set(reviews.loc[reviews["verdict"] == "flag", "image"])
        with errors_shown():
            download(
                "Download train.csv without the flagged rows",
                lambda: csv.cleaned_source(Path(record.csv), record.columns["image"], flagged),
                name=f"{Path(record.csv).stem}-cleaned.csv",
                mime="text/csv",
                key="get_clean",
                icon=":material/filter_alt:",
                disabled=not flagged,
                help="Every other byte of the source file stays as it is",
            )


def other_tools(run: Run, table: Table, only: str) -> None:
    """The same rows with boxes and masks in the format of another tool: a file, or a ZIP archive of several."""
    forms = interchange.formats()
    st.header("Other tools", anchor=False)
    st.caption("The chosen rows with their scores, verdicts, boxes and masks. Import brings verdicts from there back.")
    name = st.selectbox("Format", sorted(forms), format_func=lambda key: forms[key].title, key="export_to")
    if forms[name].note:
        st.caption(forms[name].note)

    def made() -> bytes:
        content = interchange.outgoing(run, table, rows(run, table, only))
        for note in content.notes:
            st.warning(plain(note))
        files = forms[name].write(content)
        return files[forms[name].file] if forms[name].file else interchange.zipped(files)

    download(
        f"Download for {forms[name].title}",
        made,
        name=f"{run.name}-{only}-{forms[name].file or f'{name}.zip'}",
        mime="application/octet-stream",
        key="get_other",
        icon=":material/download:",
        disabled=not table.count(csv.CHOSEN[only]),
    )


def report(run: Run) -> None:
    """The page about the run that can be handed on."""
    st.header("Report", anchor=False)
    st.caption(
        f"One HTML file that opens anywhere without a network: the overview, every {run.words.label}, the top cases "
        "with their "
        "maps and verdicts, the method, versions. Signed verdicts and the thresholds in the sidebar count."
    )
    report_button(run)


def merged(run: Run, name: str, content: bytes) -> csv.MergeReport:
    """Take the verdicts of an uploaded file in. Raises WhalecamError where it holds none."""
    known = set(session.table_of(run).images(Filters()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"verdicts{Path(name).suffix.lower()}"
        path.write_bytes(content)
        given = interchange.read_verdicts(path, known, session.reviewer())
    return csv.merge(session.journal_of(run), given, known)


def take_in(run: Run) -> None:
    """Import of a verdict file, with a report of what was merged."""
    st.header("Import verdicts", anchor=False)
    file = st.file_uploader(
        "A CSV that WhaleCAM exported, from a colleague or edited by you; or what another tool saved",
        type=["csv", "json", "jsonl", "xml", "zip"],
        key="verdicts",
        help="Verdicts for which the file names nobody are signed with your name",
    )
    if file is None or not st.button("Merge into this run", key="merge", type="primary"):
        return
    try:
        report = merged(run, file.name, file.getvalue())
    except WhalecamError as error:
        st.error(plain(str(error)))
        return
    st.success(f"{len(report.added)} verdicts added, {len(report.unchanged)} were known already.")
    for title, items in (
        ("Conflicts between reviewers; the newest counts", report.conflicts),
        ("Images that this run does not have", report.unknown),
        ("Rows that could not be used", report.refused),
    ):
        if len(items):
            with st.expander(f"{title}: {len(items)}", expanded=True):
                st.dataframe(pd.DataFrame(items), hide_index=True)
