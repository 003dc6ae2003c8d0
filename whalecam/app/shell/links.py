"""From page to page without losing the run, the thresholds or what a list shows."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

import streamlit as st

from whalecam.app.components.history import follow
from whalecam.app.state import fields as state
from whalecam.config import THRESHOLDS, Thresholds
from whalecam.text import short

PAGES = (
    ("dashboard.py", "Overview", ":material/dashboard:"),
    ("pages/1_Dataset.py", "Dataset", ":material/database:"),
    ("pages/2_Model.py", "Model", ":material/model_training:"),
    ("pages/3_Top_losses.py", "Top losses", ":material/sort:"),
    ("pages/4_Heatmaps.py", "Heatmaps", ":material/local_fire_department:"),
    ("pages/5_Leaks.py", "Leaks", ":material/water_drop:"),
    ("pages/8_Patterns.py", "Patterns", ":material/bubble_chart:"),
    ("pages/9_Matches.py", "Matches", ":material/fingerprint:"),
    ("pages/6_Export.py", "Export", ":material/download:"),
    ("pages/7_Compare.py", "Compare", ":material/compare_arrows:"),
)
KEPT = ("run", *THRESHOLDS, "heat", "opacity", "threshold", "colours", "outline")
"""Fields that several pages have."""
EARLIER = {"excess": "attention", "needs": "reliance"}
"""Fields of links that an earlier version wrote → the present ones."""
EARLIER_ENDINGS = {"_species": "_label", "_verdict": "_assessment"}
EARLIER_VALUES = {"dataset_tab": {"Pictures": "Images"}}
NO_WORDS: Mapping[str, Sequence[str]] = MappingProxyType({})
PATHS = {title: path for path, title, _ in PAGES}


def go(title: str, words: Mapping[str, Sequence[str]] = NO_WORDS, **fields: object) -> NoReturn:
    """Show another page, whose fields have the values `fields`; the run, the thresholds and the heat stay as they are.

    The browser follows a link. Where the server switches the page instead, Streamlit forgets the fields outside of the
    fragment that asked, the run among them, and a timed fragment of the old page that asks in between takes the tab
    for the old page again, which then stays empty.

    Args:
        words: for fields whose choices are shown under other names than their values: those names, which are what
            stands in the address.
    """
    state.set_values(**fields)
    kept = {name: state.shared_value(name) for name in KEPT}  # not every page has them all
    parameters = _parameters({**kept, **fields, **words})
    state.unbind(*parameters)
    with st.container(key="going"):
        st.page_link(PATHS[title], label=title, query_params=parameters)
        follow("going")
    st.stop()


def present_names() -> None:
    """Let a link that an earlier version wrote set the fields that it names, under their present names.

    Fields take their values from the address with which a run begins, so the page runs once more with the new one.
    """
    given = {name: st.query_params.get_all(name) for name in st.query_params}
    present = {_present(name): [_present_value(name, value) for value in values] for name, values in given.items()}
    if present == given:
        return
    st.query_params.from_dict(present)
    st.rerun()


def _present(name: str) -> str:
    for before, now in EARLIER_ENDINGS.items():
        if name.endswith(before):
            return name.removesuffix(before) + now
    return EARLIER.get(name, name)


def _present_value(name: str, value: str) -> str:
    return EARLIER_VALUES.get(name, {}).get(value, value)


def _parameters(fields: Mapping[str, object]) -> dict[str, str | list[str]]:
    """Fields as an address has them, empty ones left out."""
    parameters: dict[str, str | list[str]] = {
        name: [str(each) for each in value] if isinstance(value, list | tuple) else _text(value)
        for name, value in fields.items()
        if value is not None
    }
    return {name: value for name, value in parameters.items() if value}


def _text(value: object) -> str:
    """One value as an address has it: `false`, `0.5`, `demo`."""
    if isinstance(value, bool):
        return str(value).lower()
    return short(value) if isinstance(value, float) else str(value)


def carried(run: str | None, usual_run: str | None) -> dict[str, str]:
    """The run and the thresholds as parameters of a link, where they are not at their default.

    A link that is followed in this tab needs none of them; one that is opened in a new tab starts a session.

    Args:
        run: the chosen run.
        usual_run: the one that opens where none is named.
    """
    carried = {"run": run} if run is not None and run != usual_run else {}
    for name in THRESHOLDS:
        value = state.shared_value(name)
        if value is not None and value != getattr(Thresholds, name):
            carried[name] = _text(value)
    return carried
