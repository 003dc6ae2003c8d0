"""Open your own data: uploads and paths, what was recognized in them, and the run that they become."""

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from whalecam.analysis.own_data import OwnData, OwnDataPreview, PreviewImage
from whalecam.app.components.dropped_folders import keep_paths
from whalecam.app.components.gallery import Card, gallery
from whalecam.app.shell import jobs, links
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import next_run, own_data, session
from whalecam.app.widgets.mask_fields import mask_fields
from whalecam.app.widgets.upload_list import upload_list
from whalecam.config import MaskOptions
from whalecam.data import OK
from whalecam.errors import WhalecamError
from whalecam.store.run import Run
from whalecam.store.uploads import Upload
from whalecam.text import percent
from whalecam.words import Words

UPLOADERS: tuple[tuple[str, str, bool, Callable[[Upload], None]], ...] = (
    ("folder", "Folder of images", True, own_data.use),
    ("files", "Table, box files", False, own_data.use),
    ("masks", "Folder of masks", True, own_data.use_masks),
)
"""Kind, label, whether it is a folder, and what fills the fields."""
HELP = {
    "folder": "Class folders, one for each label; or images, also with their table and masks in the same folder",
    "files": "CSV, TSV, Excel, Parquet, JSON lines, COCO; boxes of MegaDetector, COCO, YOLO, Pascal VOC and others",
    "masks": "Image files, named like the images",
}
COLUMN_LABELS = {"image": "Image column", "label": "Label column", "group": "Group column"}
LISTED = 6
SUBJECT, BACKGROUND = "A noun such as car, for pages and reports", "A noun such as road"


def open_own() -> None:
    """Places of data, what was recognized there, and the button that makes a run of it."""
    own_data.begin()
    table, images = session.given_data()
    is_open = own_data.is_given() or bool(table)
    with st.expander("Open your own data", icon=":material/folder_open:", expanded=is_open):
        st.caption(
            "Drop files here, or give paths on the machine that runs WhaleCAM. Nothing in your folders is changed. "
            "Uploads are kept on that machine until you delete them."
        )
        # Each in a place of its own, filled or not: a field that moves while somebody types loses what is typed.
        with st.container(), errors_shown():
            _uploaders()
        places = _places(table, images)
        _words()
        with st.container():
            chosen, preview = _looked_at(*places)
        _opening(chosen, preview)
        upload_list()


def next_step(run: Run) -> None:
    """The one button that leads on from a data set to its network, or to its audit."""
    job = jobs.status(run.path)
    if run.parts() or (job and job.state == "running"):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown("**Next** · " + ("audit the network on these images" if run.trained else "train a network on them"))
        if run.trained:
            _lead("Set up the audit", "Audit", ":material/search:", "primary")
        else:
            _lead("Train a network", "Train", ":material/model_training:", "primary")
            _lead("Load a checkpoint", "Load a checkpoint", ":material/upload_file:", "secondary")


def _lead(label: str, tab: str, icon: str, kind: Any) -> None:
    if st.button(label, key=f"next_{tab}", icon=icon, type=kind):
        links.go("Model", model_tab=tab)


def _uploaders() -> None:
    """Store what was dropped, and fill the fields with it."""
    with st.sidebar:  # where an element of no height leaves no gap
        keep_paths()
    dropped: list[tuple[Any, Callable[[Upload], None]]] = []
    for column, (kind, label, is_folder, use) in zip(st.columns(len(UPLOADERS)), UPLOADERS, strict=True):
        files = column.file_uploader(
            label,
            accept_multiple_files="directory" if is_folder else True,
            key=own_data.uploader_key(kind),
            help=HELP[kind],
        )
        dropped += [(files, use)] if files else []
    for files, use in dropped:
        use(own_data.keep((file.name, file.getvalue()) for file in files))
        st.rerun()


def _places(table: str, images: str) -> tuple[str, str, MaskOptions]:
    """Paths of the table, the images, the masks and the boxes, as they were written."""
    left, right = st.columns(2)
    table = left.text_input(
        "Table, or folder of class folders",
        table,
        key=own_data.TABLE,
        bind="query-params",
        placeholder="/data/survey/train.csv",
        on_change=own_data.forget_columns,
    )
    images = right.text_input(
        "Image folder",
        images,
        key=own_data.IMAGES,
        bind="query-params",
        placeholder="/data/survey/images; empty for class folders",
    )
    return table, images, mask_fields(MaskOptions(), own_data.words_of(), "own")


def _words() -> None:
    """What pages and reports call the things of the images."""
    left, right = st.columns(2)
    left.text_input(
        "The images show", key=own_data.SUBJECT, bind="query-params", placeholder=Words.subject, help=SUBJECT
    )
    right.text_input(
        "Before what", key=own_data.BACKGROUND, bind="query-params", placeholder=Words.background, help=BACKGROUND
    )


def _looked_at(table: str, images: str, masks: MaskOptions) -> tuple[OwnData | None, OwnDataPreview | None]:
    """What was recognized, shown; None where nothing is named or it cannot be read, which is said."""
    try:
        chosen = own_data.chosen(table, images, masks)
        preview = own_data.preview_of(chosen) if chosen else None
    except WhalecamError as error:
        st.error(plain(own_data.as_written(str(error))), icon=":material/error:")
        return None, None
    if chosen is None or preview is None:
        return None, None
    with st.container(border=True):
        _recognized(preview)
        _columns(preview)
        for problem in preview.problems:
            st.error(plain(own_data.as_written(problem)), icon=":material/error:")
        _joined(preview)
        _outlines(preview.images)
    return chosen, preview


def _recognized(preview: OwnDataPreview) -> None:
    """Format, counts, and how the table was read."""
    data = preview.table.data
    st.markdown(f"**Recognized: {plain(preview.table.format)}**")
    if data is None:
        return
    labels = data.good()["label"].value_counts()
    listed = ", ".join(f"{label} ({count:,})" for label, count in labels.head(LISTED).items())
    more = ", …" if len(labels) > LISTED else ""
    usable = int((data.table["status"] == OK).sum())
    groups = data.table.loc[data.table["group"] != "", "group"].nunique()
    st.markdown(
        plain(f"{usable:,} of {len(data.table):,} rows usable · {len(labels):,} labels: {listed}{more}")
        + (f" · {groups:,} groups" if groups else "")
    )
    st.caption(plain(own_data.as_written(" ".join(data.notes))))


def _columns(preview: OwnDataPreview) -> None:
    """Which column is which; the first choice is the one that was recognized."""
    data = preview.table.data
    known = vars(data.columns) if data else {}
    for column, (name, label) in zip(st.columns(len(COLUMN_LABELS)), COLUMN_LABELS.items(), strict=True):
        recognized = known.get(name, "")
        if recognized not in preview.table.header:
            recognized = ""
        column.selectbox(
            label,
            ["", *preview.table.header],
            key=own_data.COLUMN_KEYS[name],
            bind="query-params",
            format_func=partial(_choice, automatic=_automatic(name, recognized)),
        )


def _choice(column: str, automatic: str) -> str:
    return column or automatic


def _automatic(name: str, recognized: str) -> str:
    if recognized:
        return f"{recognized} (recognized)"
    return "none" if name == "group" else f"not recognized: choose the {name} column"


def _joined(preview: OwnDataPreview) -> None:
    """How many images have a mask or a box; a warning where some have none, or something is not used."""
    for join in preview.joins:
        line = st.warning if join.unused or join.matched < join.images else st.caption
        line(plain(own_data.as_written(f"{join.kind.capitalize()}: {join.sentence}")))


def _outlines(images: Sequence[PreviewImage]) -> None:
    if images:
        gallery(
            [_card(image) for image in images], key="own_outlines", selectable=False, openable=False, columns_min_px=105
        )


def _card(image: PreviewImage) -> Card:
    if image.thumbnail is None:
        return Card(image.image, None, image.label, (image.image, image.reason))
    uri = "data:image/webp;base64," + base64.b64encode(image.thumbnail).decode()
    source = f"{image.source} · {percent(image.area)} of the image" if image.source else "no mask, no box"
    return Card(image.image, uri, image.label, (image.image, source), mask_bits=image.mask_bits)


def _opening(chosen: OwnData | None, preview: OwnDataPreview | None) -> None:
    """The name of the run, and the button; why none could be made stands until the next try."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    suggested = own_data.suggested_name(chosen)
    name = left.text_input("Name of the run", key=own_data.NAME, placeholder=suggested)
    request = f"{chosen!r} {name}"
    if right.button("Open", type="primary", key="own_open", width="stretch", icon=":material/arrow_forward:"):
        problem = _problem_of(name.strip() or suggested, chosen, preview)
        next_run.set_problem(problem, request)
        if not problem:
            st.rerun()
    if problem := next_run.problem(request):
        st.error(plain(problem), icon=":material/error:")


def _problem_of(name: str, chosen: OwnData | None, preview: OwnDataPreview | None) -> str:
    """Open the data, which runs the page anew; else why not, in words."""
    if chosen is None or preview is None or preview.problems:
        return "Not opened. Name a table or a folder of class folders, and correct what is wrong above."
    try:
        run = own_data.add_run(name, chosen)
    except WhalecamError as error:
        return own_data.as_written(str(error))
    next_run.open_next(run.name)
    own_data.clear_next()
    return ""
