"""What this session's reviewer has judged and put off, and which images are blind controls."""

import pandas as pd
import streamlit as st

from whalecam.app.state import session
from whalecam.store.reviews import Skips
from whalecam.store.run import Run


def reviewed(run: Run) -> pd.DataFrame:
    """`image action reviewed_at` of this reviewer's verdicts, oldest first: see `Journal.reviewed_by`."""
    return session.journal_of(run).reviewed_by(session.reviewer())


def skips(run: Run) -> Skips:
    """The images that reviewers put off."""
    return _skips(run.reviews_url, run.reviews_key)


@st.cache_resource(max_entries=16, show_spinner=False)
def _skips(url: str, run: str) -> Skips:
    return Skips(url, run)
