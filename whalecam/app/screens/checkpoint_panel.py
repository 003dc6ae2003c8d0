"""Load a checkpoint: by path or upload, what it was recognized as, and the button that loads and audits it."""

from pathlib import Path

import streamlit as st

from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.shell.run_commands import load_of
from whalecam.app.shell.start_job import launch
from whalecam.app.state import own_data
from whalecam.app.widgets.upload_list import upload_list
from whalecam.commands import Inspect
from whalecam.config import RESIZES, SIDES, TrainOptions
from whalecam.errors import ModelError
from whalecam.store.checkpoint_record import CheckpointRecord, Given, read_record
from whalecam.store.run import Run
from whalecam.store.uploads import path_of

LOOKING = "Looking at the checkpoint"
MAX_MEGABYTES = 1000
FILES = (
    "Weights of a torchvision, timm, transformers or fastai network, or of WhaleCAM: safetensors, or a state dict that "
    "torch.save wrote, also inside a training checkpoint (Lightning, DistributedDataParallel); a folder with them and "
    "their config.json; or an ONNX file. A pickled module is refused."
)
AS_STATED = "as the file says"
LOADED_SIDE = f"as the file or timm says, else {TrainOptions.size}"
LOADED_SIZE = "The side that the network was trained at; a transformer takes no other"


def load(run: Run) -> None:
    """The file, what it was recognized as, and what can be done with it."""
    st.caption(FILES)
    with errors_shown():
        _uploader()
    _form(run)
    with errors_shown():
        if record := read_record(run.checkpoint_record):
            _recognized(run, record)
    upload_list()


def _uploader() -> None:
    """Store a dropped checkpoint, and fill the field with it."""
    file = st.file_uploader(
        "Checkpoint, dropped here or given by its path below",
        key=own_data.uploader_key("checkpoint"),
        max_upload_size=MAX_MEGABYTES,
    )
    if file:
        own_data.use_checkpoint(own_data.keep([(file.name, file.getvalue())]))
        st.rerun()


def _form(run: Run) -> None:
    """The file and what is known of it; looks at it beside the pages."""
    with st.form("load"):
        left, right = st.columns([3, 2])
        path = left.text_input(
            "Checkpoint file",
            key=own_data.CHECKPOINT,
            bind="query-params",
            placeholder="/data/models/best.safetensors",
        )
        arch = right.text_input("Architecture", placeholder="empty: as the file says, else resnet18")
        first, second = st.columns(2)
        size = first.number_input("Input side, px", *SIDES, None, placeholder=f"empty: {LOADED_SIDE}", help=LOADED_SIZE)
        resize = second.selectbox("An image becomes a square by", (AS_STATED, *RESIZES))
        classes = st.text_input(
            "Classes, in the order of the outputs",
            placeholder="empty: as the file says, else the labels by name",
            help="Separated by commas, or the path of a text or JSON file",
        )
        if st.form_submit_button("Look at it", type="primary", help="Nothing is loaded into the run yet"):
            with errors_shown():
                how = None if resize == AS_STATED else resize
                stated = Given(arch=arch.strip() or None, size=size, resize=how, classes=classes.strip() or None)
                _look(run, path, stated)


def _look(run: Run, text: str, stated: Given) -> None:
    """Recognize the checkpoint in a process of its own, which replaces what was known of another."""
    path = path_of(own_data.uploads_folder(), text) if text.strip() else Path()
    if not text.strip() or not path.exists():
        named = text.strip() or "(empty)"
        raise ModelError(f"There is no file {named}. Give the path of a checkpoint on this machine.")
    run.checkpoint_record.unlink(missing_ok=True)
    save = str(run.checkpoint_record)
    launch(run, LOOKING, Inspect(checkpoint=str(path), run=str(run.path), save=save, **vars(stated)))


def _recognized(run: Run, record: CheckpointRecord) -> None:
    """What the checkpoint is, and the buttons that use it."""
    with st.container(border=True):
        st.markdown(f"**Recognized: {plain(Path(record.checkpoint).name)}**")
        st.markdown("\n".join(f"- {plain(sentence)}" for sentence in record.sentences))
        if record.unknown_labels:
            st.warning("Some labels are no class of this network. If it names them otherwise, state its classes above.")
        if record.is_changed:
            st.warning("The file has changed or is gone since it was looked at. Look at it again.")
            return
        if run.trained:
            st.caption("Loading replaces the network of this run and its audit; verdicts of people stay.")
        with st.container(horizontal=True):
            both = st.button("Load and audit", key="load_audit", type="primary", icon=":material/search:")
            alone = st.button("Load", key="load_only")
            if both or alone:
                with errors_shown():
                    launch(run, "Loading and audit" if both else "Loading", load_of(run, record, audit=both))
