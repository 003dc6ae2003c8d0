"""The Matches page's own pieces: what is compared, the queue, both images with their maps, verdicts and files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from whalecam.app.charts.audit_charts import WORDS
from whalecam.app.components.canvas import Layer, heat_canvas
from whalecam.app.components.download import download
from whalecam.app.shell.marks import mark
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.shell.run_commands import masks_of
from whalecam.app.shell.start_job import launch
from whalecam.app.state import image_cache, matches_cache, pending, session
from whalecam.app.state.pending import MatchAction
from whalecam.commands import Matches
from whalecam.config import FALLBACK_ARCH, SUSPECT_ASSESSMENTS, MatchOptions
from whalecam.data import geometry
from whalecam.errors import DatasetError, ReviewError
from whalecam.output.csv import match_file
from whalecam.output.match_sentences import encounter_sentence, record_lines, share_sentence
from whalecam.store.matches import has_matches, map_of
from whalecam.store.reviews.match_verdicts import MatchVerdict
from whalecam.store.run import Run
from whalecam.text import number, percent
from whalecam.words import Words

SUSPICIOUS, UNJUDGED, ALL = "suspicious", "without a verdict", "all"
LISTS = (SUSPICIOUS, UNJUDGED, ALL)
HEIGHT_PX, FIELD_PX = 380, 200
UNIT = "similarity"
EXPERIMENTAL = (
    "The test of single matches is experimental. On drawn sets it listed two of five matches that rest on the "
    "background, and 5\u00a0% of the list did not; on photographs neither has been measured."
)
TABLE = ("query", "individual", "matched", "similarity", "same_encounter", "drop", "q_value", "assessment", "verdict")


def verdict_words(words: Words) -> dict[str, str]:
    """The verdicts on a match as buttons have them."""
    return {
        "same": f"Same {words.subject}",
        "different": f"Different {words.subject}s",
        "unsure": "Cannot tell",
        "background": f"Rests on the {words.background}",
    }


def start(run: Run) -> None:
    """Where there are no matches yet: what they are, and the way to make them."""
    if has_matches(run):
        return
    st.info(
        f"A match compares an image of an individual with all others. Photographs of one encounter share "
        f"{plain(run.words.background)} and light, so a network can match the day instead of the {run.words.subject}. "
        "WhaleCAM looks every image up, exchanges the backgrounds, and lists the matches that rest on them.",
        title="No matches have been made yet",
        icon=":material/fingerprint:",
    )
    with st.form("make_matches"):
        encounter = st.text_input("Encounter", placeholder="day", help="day, place, camera, source or a column.")
        network = st.text_input(
            "Network", "" if run.trained else FALLBACK_ARCH, placeholder="the run's own", help="Empty: the run's own."
        )
        limit = st.number_input("Matches to test", 1, 100_000, MatchOptions.limit)
        fit = st.toggle("Fit an ArcFace projection on the individuals first")
        if st.form_submit_button("Make the matches", type="primary", icon=":material/fingerprint:"):
            names = tuple(name.strip() for name in encounter.split(",") if name.strip())
            options = MatchOptions(
                encounter=names, network=network.strip(), limit=int(limit), fit=fit, **vars(masks_of(run))
            )
            launch(run, "Matches", Matches(run=str(run.path), options=options))
    st.stop()


def summary(run: Run) -> None:
    """What the matches say as a whole in one line; behind it, what was compared and how far that can be trusted."""
    first, *rest = _first_finding(run)
    st.markdown(plain(first))
    with st.expander("What was compared and tested, and how far it can be trusted"):
        for line in rest:
            st.markdown(plain(line))
        st.caption(EXPERIMENTAL)


def _first_finding(run: Run) -> list[str]:
    """What the matches say as a whole, the share of the encounters first."""
    lines, record = record_lines(run, session.thresholds()), matches_cache.record_of(run)
    first = encounter_sentence(record) if record else ""
    return [first, *(line for line in lines if line != first)]


def queue(run: Run) -> pd.DataFrame:
    """The matches to look at, the likeliest to rest on the background first, with the verdict that stands."""
    rows = matches_cache.matches_of(run)
    verdicts = matches_cache.journal_of(run).latest()
    rows = rows.merge(verdicts, on=["query", "candidate"], how="left").sort_values(
        ["drop", "query"], ascending=[False, True], na_position="last"
    )
    counts = {name: len(_listed(rows, name)) for name in LISTS}
    chosen = st.segmented_control(
        "Matches",
        LISTS,
        default=SUSPICIOUS if counts[SUSPICIOUS] else ALL,
        key="match_list",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
        format_func=lambda name: f"{name} ({counts[name]:,})",
    )
    return _listed(rows, str(chosen)).reset_index(drop=True)


def has_maps(run: Run, rows: pd.DataFrame) -> bool:
    """Whether the matches have maps: those of a network that is a function, or pools otherwise, have none."""
    return len(rows) > 0 and bool(matches_cache.pairs_of(run, str(rows["query"].iloc[0]))["query_map"].notna().any())


def _listed(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    if name == SUSPICIOUS:
        return rows[rows["assessment"].isin(SUSPECT_ASSESSMENTS)]
    return rows[rows["verdict"].isna()] if name == UNJUDGED else rows


@st.fragment
def review(run: Run, rows: pd.DataFrame) -> None:
    """One match: both images under their maps, its scores, its verdict. A verdict leads on to the next."""
    with errors_shown():
        queries = rows["query"].tolist()
        _carry_out(run, queries)
        query, missing = matches_cache.shown(queries)
        if missing:
            st.info(f"{plain(missing)} is not in this list. Choose another list.", icon=":material/search_off:")
        at = queries.index(query)
        row = rows.iloc[at]
        pairs = matches_cache.pairs_of(run, query)
        _buttons(run, row, queries, at)
        rank = _choose_candidate(pairs)
        _images(run, row, pairs.iloc[rank])
        _facts(run, row, pairs.iloc[rank], is_best=rank == 0)
        _history(run, query)


def _buttons(run: Run, row: "pd.Series[Any]", queries: Sequence[str], at: int) -> None:
    """Verdicts and ways on; each has a key."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for place, (verdict, label) in enumerate(verdict_words(run.words).items(), 1):
            st.button(
                label,
                key=f"match_{verdict}",
                shortcut=str(place),
                type="primary" if verdict == "background" else "secondary",
                on_click=_remember,
                args=(MatchAction(verdict, str(row["query"]), str(row["candidate"])),),
            )
        st.button("Undo", key="match_undo", icon=":material/undo:", shortcut="0", on_click=_remember, args=(UNDO,))
        for label, key, by in (("Previous", "A", -1), ("Next", "D", 1)):
            goal = queries[at + by] if 0 <= at + by < len(queries) else None
            st.button(
                label,
                key=f"match_{label.lower()}",
                shortcut=key,
                disabled=goal is None,
                on_click=matches_cache.show,
                args=(goal,),
            )
        title = f"Query, {at + 1:,} of {len(queries):,}"
        st.text_input(title, key=matches_cache.QUERY, bind="query-params", width=FIELD_PX)


UNDO = MatchAction("undo", "", "")


def _remember(action: MatchAction) -> None:
    pending.MATCH.set(action)


def _carry_out(run: Run, queries: Sequence[str]) -> None:
    """Outside the callback, so that an error becomes a message on the page."""
    action = pending.MATCH.pop()
    if action is None:
        return
    journal, who = matches_cache.journal_of(run), session.reviewer()
    try:
        if action.verdict == UNDO.verdict:
            undone = journal.undo(who)
            st.toast("Nothing to undo." if undone is None else plain(f"Undone: {undone.query}, {undone.verdict}."))
            if undone is not None and undone.query in queries:
                matches_cache.show(undone.query)
            return
        journal.sign([MatchVerdict(action.query, action.candidate, action.verdict, who)])
    except ReviewError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.toast(plain(f"Signed: {action.query}, {verdict_words(run.words)[action.verdict]}."))
    following = queries.index(action.query) + 1 if action.query in queries else len(queries)
    if following < len(queries):
        matches_cache.show(queries[following])


def _choose_candidate(pairs: pd.DataFrame) -> int:
    """Which candidate stands beside the query, as its place in the list."""
    labels = [
        f"{row['rank']}. {row['individual'] or 'unknown'} · {number(row['similarity'])}"
        for row in pairs.to_dict("records")
    ]
    if len(labels) < 2:
        return 0
    chosen = st.segmented_control(
        "Candidate",
        range(len(labels)),
        default=0,
        required=True,
        format_func=labels.__getitem__,
        label_visibility="collapsed",
    )
    return int(chosen)


def _images(run: Run, row: "pd.Series[Any]", pair: "pd.Series[Any]") -> None:
    sides = st.columns(2, gap="small")
    record = matches_cache.record_of(run)
    resize = record.resize if record else "squish"
    for column, side, image in zip(sides, ("query", "candidate"), (row["query"], pair["candidate"]), strict=True):
        with column:
            values = map_of(pair[f"{side}_map"], *_shape(pair))
            who = row["individual"] if side == "query" else pair["individual"]
            try:
                uri = image_cache.image_uri(run, str(image))
            except DatasetError as error:
                st.warning(plain(f"{error}."), icon=":material/broken_image:")
                continue
            heat_canvas(
                uri,
                _layer(values, pair, side, resize),
                None,
                f"{side}: {image}, {who or 'unknown'}",
                key=f"match_{side}_canvas",
                height=HEIGHT_PX,
            )


def _shape(pair: "pd.Series[Any]") -> tuple[int, int]:
    sides = (pair["map_height"], pair["map_width"])
    return (0, 0) if any(pd.isna(side) for side in sides) else (int(sides[0]), int(sides[1]))


def _layer(values: NDArray[np.float32] | None, pair: "pd.Series[Any]", side: str, resize: str) -> Layer | None:
    """The map on the part of the image that the network saw."""
    if values is None:
        return None
    frame = geometry.frame_of(int(pair[f"{side}_width"]), int(pair[f"{side}_height"]), resize)
    return replace(Layer.of(values, frame), unit=UNIT)


def _facts(run: Run, row: "pd.Series[Any]", pair: "pd.Series[Any]", *, is_best: bool) -> None:
    """What was measured of the match."""
    background = run.words.background
    lines = [share_sentence(pair["query_share"], pair["candidate_share"], background)]
    if is_best and pd.notna(row["drop"]):
        st.html(f"{mark(row['assessment'])} <strong>{WORDS[row['assessment']]}</strong>")
        lines.append(
            f"Probability of the match {percent(row['before'])}; it drops by {percent(row['drop'])} on the "
            f"{background} of other encounters, by {percent(row['placebo'])} on that of its own."
        )
        lines.append(
            f"Similarity {number(row['similarity'])}; {number(row['query_exchanged'])} with the query's {background} "
            f"exchanged, {number(row['match_exchanged'])} with the other's, {number(row['both_exchanged'])} with one "
            f"foreign {background} for both, {number(row['background_only'])} without either {run.words.subject}."
        )
        if row["assessment"] == "not_assessable":
            lines.append("The editing itself makes another match, so the test says nothing of this one.")
    elif is_best and row.get("reason"):
        lines.append(plain(f"Not tested: {row['reason']}."))
    same = {True: "Same encounter.", False: "Other encounter."}.get(pair["same_encounter"], "Encounter unknown.")
    st.markdown("  \n".join([line for line in lines if line] + [same]))


def _history(run: Run, query: str) -> None:
    history = matches_cache.journal_of(run).history(query)
    if len(history):
        st.caption("Reviews of this match")
        st.dataframe(history, hide_index=True, height=140)


def table(rows: pd.DataFrame) -> None:
    """The list as a table."""
    with st.expander(f"The list ({len(rows):,})"):
        st.dataframe(rows.reindex(columns=list(TABLE)), hide_index=True, height=260)


def files(run: Run) -> None:
    """Matches out as a CSV, verdicts out for Wildbook, and back in."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        level = session.thresholds()
        download(
            "Download the matches",
            lambda: match_file.write_matches(run, level),
            name=f"{run.name}-matches.csv",
            mime="text/csv",
            key="get_matches",
            icon=":material/download:",
        )
        download(
            "For Wildbook",
            lambda: match_file.write_wildbook(run),
            name=f"{run.name}-wildbook.csv",
            mime="text/csv",
            key="get_wildbook",
            icon=":material/download:",
        )
    uploaded = st.file_uploader("Verdicts on matches, as CSV", type="csv", key="match_upload")
    if uploaded is not None and st.button("Read it", key="match_read", icon=":material/upload:"):
        done = match_file.import_matches(run, uploaded.getvalue())
        st.success(
            f"{done.added:,} verdicts added, {done.unchanged:,} were known already, {len(done.unknown):,} are of no "
            "match of this run."
        )
