"""What a list shows, counts, signs and writes into its address is one filter, whatever was touched before."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.pages.test_pages import open_page
from whalecam.app.charts.audit_charts import WORDS
from whalecam.app.state import session
from whalecam.app.widgets import filters
from whalecam.config import ASSESSMENTS, SUSPECT_ASSESSMENTS, THRESHOLDS, Thresholds
from whalecam.store.run import open_run
from whalecam.store.table import ORDERS
from whalecam.store.views import views_in

REGION = "attention_score~reliance 0.6,-1 1.1,-1 1.1,0.4 0.6,0.4"
SPANS = "attention_score:0.5:1.1;loss::1"
DEFAULTS: dict[str, Any] = {
    "label": [],
    "predicted": [],
    "assessment": list(SUSPECT_ASSESSMENTS),
    "review": None,
    "right": None,
    "seen": None,
    "source": [],
    "group": "",
    "spans": "",
    "text": "",
    "region": "",
    "order": next(iter(ORDERS)),
    "size": filters.PAGE_SIZES[0],
    "page": 1,
    "attention": Thresholds.attention,
    "reliance": Thresholds.reliance,
    "false_rate": Thresholds.false_rate,
}
SPECIES = ("beluga", "fin_whale", "bottlenose_dolphin")
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "label": st.lists(st.sampled_from(SPECIES), unique=True),
    "predicted": st.lists(st.sampled_from(SPECIES), unique=True),
    "assessment": st.lists(st.sampled_from(ASSESSMENTS), unique=True),
    "review": st.sampled_from([None, "unreviewed", "reviewed", "flag"]),
    "right": st.sampled_from([None, "right", "wrong"]),
    "seen": st.sampled_from([None, "trained on", "not trained on"]),
    "source": st.sampled_from([[], ["given"]]),
    "group": st.sampled_from(["", "bel001", "nobody"]),
    "spans": st.sampled_from(["", SPANS, "no spans"]),
    "text": st.sampled_from(["", "1", "bel", "no such name"]),
    "region": st.sampled_from(["", REGION, "no region"]),
    "order": st.sampled_from(["evidence", "name", "loss"]),
    "size": st.sampled_from(filters.PAGE_SIZES),
    "page": st.integers(1, 2),
    "attention": st.sampled_from([0.5, 1.0, 1.05, 2.0]),
    "reliance": st.sampled_from([0.0, 0.2, 0.25, 0.9]),
    "false_rate": st.sampled_from([0.01, 0.05, 0.1, 0.25]),
}
STEPS = st.lists(
    st.sampled_from(sorted(CHOICES)).flatmap(lambda name: CHOICES[name].map(lambda value: (name, value))),
    min_size=1,
    max_size=6,
)


def listing() -> None:
    """A page that is nothing but a list."""
    import os
    from pathlib import Path

    import streamlit as st

    from whalecam.app.shell import page_frame
    from whalecam.app.state import session
    from whalecam.app.widgets import filters
    from whalecam.store.run import open_run

    run = open_run(Path(os.environ["WHALECAM_RUNS"]) / "demo")
    page_frame.threshold_sliders(run)
    table = session.table_of(run)
    view = filters.filter_bar(table, "leaks", run)
    st.session_state["shown"] = view.rows(table)["image"].tolist()
    st.session_state["taken"] = table.images(view.filters, view.order)


def field(name: str) -> str:
    return name if name in THRESHOLDS else f"leaks_{name}"


def widget(app: AppTest, name: str) -> Any:
    kinds = {"assessment": "multiselect", "label": "multiselect", "predicted": "multiselect", "page": "number_input"}
    kinds |= dict.fromkeys(("text", "region", "group", "spans"), "text_input") | {"source": "multiselect"}
    kinds |= dict.fromkeys(THRESHOLDS, "slider")
    return getattr(app, kinds.get(name, "selectbox"))(key=field(name))


def values(app: AppTest) -> dict[str, Any]:
    return {name: widget(app, name).value for name in DEFAULTS}


def address_of(chosen: dict[str, Any]) -> dict[str, Any]:
    """What the browser writes into the address: every field that is not at its default, by the words that are shown."""
    changed = {name: value for name, value in chosen.items() if value != DEFAULTS[name] and value is not None}
    words: dict[str, Callable[[Any], Any]] = {"assessment": lambda names: [WORDS[name] for name in names]}
    return {field(name): words.get(name, lambda value: value)(value) for name, value in changed.items()}


def opened(address: dict[str, Any]) -> AppTest:
    app = AppTest.from_function(listing, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value if value == [] or not isinstance(value, list) else [str(each) for each in value]
        if value == []:
            app.query_params[name] = ""
    return app.run()


def expected(rows: pd.DataFrame, chosen: dict[str, Any]) -> set[str]:
    """The filters once more, in the slow and obvious way."""
    if chosen["region"] == REGION:
        inside = rows["attention_score"].between(0.6, 1.1) & rows["reliance"].between(-1, 0.4)
        return set(rows.loc[inside, "image"])
    keep = pd.Series(True, rows.index)
    columns = {"label": "label", "predicted": "predicted", "assessment": "assessment", "source": "mask_source"}
    for name, column in columns.items():
        if chosen[name]:
            keep &= rows[column].isin(chosen[name])
    if chosen["review"] in ("reviewed", "flag"):
        keep &= False  # nobody has signed anything
    for name, column, yes in (("right", "correct", "right"), ("seen", "in_training", "trained on")):
        if chosen[name]:
            keep &= rows[column].map(lambda value, wanted=chosen[name] == yes: value is not None and value == wanted)
    if chosen["group"]:
        keep &= rows["group"] == chosen["group"]
    if chosen["spans"] == SPANS:
        keep &= (rows["attention_score"] >= 0.5) & (rows["attention_score"] < 1.1) & (rows["loss"] < 1)
    if chosen["text"]:
        names = rows["image"].str.lower() + "\n" + rows["group"].str.lower()
        keep &= names.str.contains(chosen["text"], regex=False)
    return set(rows.loc[keep, "image"])


@pytest.fixture(scope="module")
def folder(prepared: Path) -> Path:
    return prepared / "runs"


@given(STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_shown_are_those_of_the_address_and_those_that_are_signed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, Any]]
) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(folder))
    app = opened({})
    run = open_run(folder / "demo")
    for name, value in steps:
        asked = value if name != "page" else min(value, widget(app, "page").max)
        widget(app, name).set_value(asked).run()
        assert not app.exception, app.exception
        chosen = values(app)
        if name in CHOICES and name != "page":
            assert chosen[name] == value
        assert list(widget(app, "assessment").proto.default) == [ASSESSMENTS.index(v) for v in SUSPECT_ASSESSMENTS]
        taken, shown = app.session_state["taken"], app.session_state["shown"]
        rows = session.table_of(run, Thresholds(**{name: chosen[name] for name in THRESHOLDS})).all_rows()
        assert set(taken) == expected(rows, chosen)
        start = (chosen["page"] - 1) * chosen["size"]
        assert shown == taken[start : start + chosen["size"]] and (shown or not taken)
        assert f"{len(taken):,} images" in [caption.value for caption in app.caption]
    link = opened(address_of(values(app)))
    assert link.session_state["shown"] == app.session_state["shown"], urlencode(address_of(values(app)), doseq=True)
    assert link.session_state["taken"] == app.session_state["taken"]


def test_an_address_that_names_no_region_says_so_and_hides_nothing(runs: Path) -> None:
    app = opened({"leaks_region": "no region"})
    assert "selection in the URL cannot be read" in app.warning[0].value
    assert app.session_state["taken"] == opened({}).session_state["taken"]


def test_an_image_opened_from_a_list_leads_the_queue_through_that_list(runs: Path) -> None:
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60)
    verdicts = [WORDS[name] for name in SUSPECT_ASSESSMENTS]
    for name, value in {"queue_label": ["sei_whale"], "queue_assessment": verdicts, "image_order": "name"}.items():
        app.query_params[name] = value
    app.switch_page("pages/4_Heatmaps.py").run()
    table = session.table_of(open_run(runs / "demo"))
    rows = table.all_rows()
    wanted = rows[(rows["label"] == "sei_whale") & rows["assessment"].isin(SUSPECT_ASSESSMENTS)]["image"].tolist()
    assert f"1 of {len(wanted):,}" in [caption.value for caption in app.caption]
    assert app.text_input(key="image").value == wanted[0]
    app.button(key="queue_next").click().run()
    assert app.text_input(key="image").value == wanted[1]


def counts_of(app: AppTest) -> dict[str, dict[str, int]]:
    """What the panel of filters offers, with its counts, as its browser is sent it."""
    (panel,) = [
        part for part in app.sidebar.get("bidi_component") if part.proto.component_name.endswith("whalecam_facets")
    ]
    sections = json.loads(panel.proto.json)["sections"]
    return {part["name"]: {o["value"]: o["count"] for o in part["options"]} for part in sections if "options" in part}


def test_each_count_is_what_its_choice_would_leave(runs: Path) -> None:
    app = opened({"leaks_label": ["beluga", "sei_whale"], "leaks_assessment": ["Clean", "Confirmed leak"]})
    counts = counts_of(app)
    for name in ("beluga", "fin_whale"):
        app.multiselect(key="leaks_label").set_value([name]).run()
        assert counts["label"].get(name, 0) == len(app.session_state["taken"])
    app.multiselect(key="leaks_label").set_value(["beluga", "sei_whale"]).run()
    for name in ("clean", "cosmetic", "not_assessable"):
        app.multiselect(key="leaks_assessment").set_value([name]).run()
        assert counts["assessment"].get(name, 0) == len(app.session_state["taken"])


def test_what_is_set_is_named_and_taken_back_one_by_one(runs: Path) -> None:
    app = opened({"leaks_label": ["beluga"], "leaks_spans": "loss:0.01:", "leaks_assessment": ["Clean"]})

    def chips() -> list[str]:
        shown = [button for button in app.button if str(button.key).startswith("leaks_chip_")]
        return [button.label.replace("\\", "").split("\u2002")[0] for button in shown]

    assert chips() == ["Clean", "beluga", "Loss from 0.01"]
    app.button(key="leaks_chip_2").click().run()
    assert chips() == ["Clean", "beluga"] and app.text_input(key="leaks_spans").value == ""
    app.button(key="leaks_chip_0").click().run()
    assert chips() == ["beluga"]
    app.button(key="leaks_clear_all").click().run()
    assert chips() == [] and len(app.session_state["taken"]) == len(open_run(runs / "demo").audited())


def test_ranges_that_cannot_be_read_are_named_and_hide_nothing(runs: Path) -> None:
    for spans in ("loss", "weight:1:2", "loss:a:b", "loss:nan:", "loss:1:2:3"):
        app = opened({"leaks_spans": spans})
        assert "ranges of scores in the URL cannot be read" in app.warning[0].value
        assert app.session_state["taken"] == opened({}).session_state["taken"]


def test_a_view_is_kept_shown_deleted_and_brought_back(runs: Path) -> None:
    app = open_page("pages/5_Leaks.py", leaks_label="sei_whale", leaks_order="name")

    def names() -> list[str]:
        return [b.label for b in app.button if re.fullmatch(r"leaks_view_\d+", str(b.key))]

    app.multiselect(key="leaks_label").set_value(["sei_whale"]).run()
    app.selectbox(key="leaks_order").set_value("name").run()
    app.button(key="leaks_view_keep").click().run()
    assert "needs a name" in app.error[0].value
    app.text_input(key="leaks_view_name").set_value("sei <b> whales").run()
    app.button(key="leaks_view_keep").click().run()
    assert not app.exception and names() == ["sei \\<b\\> whales"]
    app.button(key="leaks_clear_all").click().run()
    app.selectbox(key="leaks_order").set_value("loss").run()
    again = open_page("pages/5_Leaks.py")
    again.button(key="leaks_view_0").click().run()
    assert (again.multiselect(key="leaks_label").value, again.selectbox(key="leaks_order").value) == (
        ["sei_whale"],
        "name",
    )
    assert again.multiselect(key="leaks_assessment").value == list(SUSPECT_ASSESSMENTS)
    app.button(key="leaks_view_0_delete").click().run()
    assert names() == []
    app.button(key="leaks_view_back").click().run()
    assert names() == ["sei \\<b\\> whales"] and not app.exception
    assert not [view for view in views_in(open_run(runs / "demo").views) if view.of != "leaks"]
