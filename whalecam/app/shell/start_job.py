"""Start a verb beside the pages; a training whose pretrained weights cannot be had asks first."""

from dataclasses import replace

import streamlit as st

from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import pending
from whalecam.app.state.pending import FallbackQuestion
from whalecam.commands import Command, Train
from whalecam.config import FALLBACK_ARCH, FINE_ARCH, UNTRAINED
from whalecam.store.run import Run


def launch(run: Run, title: str, command: Command) -> None:
    """Start a command for this run and show its progress."""
    with errors_shown():
        jobs.start(run.path, title, command)
        st.rerun()


def train_or_ask(run: Run, command: Train) -> None:
    """Start a training, or note the question to ask first where the pretrained weights cannot be had."""
    pending.FALLBACK.clear()
    problem = _missing_weights(command.options.arch) if command.options.pretrained else ""
    if problem:
        pending.FALLBACK.set(FallbackQuestion(str(run.path), problem, command))
    else:
        launch(run, "Training", command)


def _missing_weights(arch: str) -> str:
    """See `network.missing_weights`; a hub that was out of reach a while ago is asked again."""
    if arch in (FALLBACK_ARCH, FINE_ARCH):
        return ""
    with st.spinner(f"Looking for the weights of {plain(arch)} …"):
        from whalecam import network  # seconds of imports, only where somebody is about to train

        network.hub_reachable.cache_clear()
        return network.missing_weights(arch)


def ask_fallback(run: Run) -> None:
    """The question which network to train where the chosen one's weights cannot be had; nothing starts by itself."""
    question = pending.FALLBACK.get()
    if not question or question.run != str(run.path):
        return
    arch = question.command.options.arch
    st.warning(plain(f"{question.problem} Nothing has started. Choose what to train:"), icon=":material/help:")
    choices = {
        FALLBACK_ARCH: f"Train {FALLBACK_ARCH}, whose weights come with the install",
        UNTRAINED: f"Train {plain(arch)} without pretrained weights",
        "": "Train nothing now",
    }
    with st.container(horizontal=True):
        pressed = [name for name, label in choices.items() if st.button(label, key=f"fallback_{name or 'none'}")]
    if pressed:
        pending.FALLBACK.clear()
        if not pressed[0]:
            st.rerun()
        options = replace(question.command.options, fallback=pressed[0])
        launch(run, "Training", replace(question.command, options=options))
