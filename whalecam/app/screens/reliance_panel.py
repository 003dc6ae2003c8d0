"""What the exchanged backgrounds prove: by class, by image, and what an earlier audit cannot say."""

import functools
from typing import TypeGuard

import pandas as pd
import streamlit as st

from whalecam.app.widgets.row_choice import choosing_table, filter_by
from whalecam.config import Thresholds
from whalecam.store.table import ListedRow, Table, Totals
from whalecam.text import number, percent
from whalecam.words import Words

UNCONTROLLED = (
    "An earlier version made this audit and did not control the false discovery rate: its list goes by the "
    "threshold of *reliance* (see *Advanced*). Audit again on the Model page to list at a stated rate."
)


def note_uncontrolled(facts: Totals) -> None:
    """Say where the list of an earlier audit holds no rate; `facts` of `Table.overview`."""
    if facts["measured"] and not facts["controlled"]:
        st.info(UNCONTROLLED, icon=":material/info:")


def class_table(table: Table, words: Words) -> None:
    """Which predicted classes rely on the background beyond chance; sent to the browser only while it is open."""
    tests = table.class_tests()
    if tests.empty:
        return
    question = f"Per predicted class: does it rely on the {words.background}?"
    with st.expander(question, key="class_tests", on_change="rerun") as part:
        if not part.open:
            return
        look = {
            "relies": st.column_config.CheckboxColumn("relies beyond chance"),
            "gap": st.column_config.NumberColumn(format="%+.2f"),
            "p_value": st.column_config.NumberColumn("p", format="%.4f"),
        }
        chosen = functools.partial(filter_by, "leaks_predicted", tuple(tests["predicted"]))
        shown = tests[["predicted", "relies", "gap", "p_value", "images", "donors"]]
        choosing_table(shown, "leaks_classes", chosen, look=look)
        st.caption(
            f"Each image was put on the {words.background} of other images. *Gap*: how much more probable the "
            "predicted "
            f"class is on the {words.background} of its own label than on that of other labels. *p*: how often chance "
            "alone gives such a gap "
            "(permutation of the donors). Images are listed only within classes that rely beyond chance (p of 5\u00a0% "
            "after Holm's correction over all classes). A click before a row shows the images predicted so above."
        )


def is_listed(row: ListedRow, level: Thresholds) -> bool:
    """Whether an image counts as relying on its background, as `assessment.assess` decides."""
    if is_measured(row["q_value"]):
        return row["q_value"] <= level.false_rate
    return is_measured(row["reliance"]) and row["reliance"] >= level.reliance


def strength(row: ListedRow) -> str:
    """How much an image relies on its background, in a few words; "" where it was not measured."""
    if is_measured(row["reliance_probability"]):
        return f"relies {percent(row['reliance_probability'])}"
    return f"reliance {number(row['reliance'])}" if is_measured(row["reliance"]) else ""


def is_measured(value: float | None) -> TypeGuard[float]:
    """Whether a score of a listed row is neither None nor NaN."""
    return bool(pd.notna(value))
