"""The words of a run that is to be made, or to be made anew."""

from pathlib import Path

from whalecam.store.manifest import Described
from whalecam.store.run import is_run, open_run
from whalecam.words import Words


def words_for(path: Path, data: Described, subject: str | None = None, background: str | None = None) -> Words:
    """The words of the run in a folder once it is made for a data set.

    Args:
        subject, background: None: as the run has them, else the defaults.

    Raises DatasetError for what is no word, RunError for a run that cannot be read.
    """
    known = open_run(path).words if is_run(path) else Words()
    return data.words(subject or known.subject, background or known.background)
