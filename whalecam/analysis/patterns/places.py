"""A place on a plane for each image, so that images in which the network saw alike lie near each other."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import Progress, Report, silent
from whalecam.errors import RunError
from whalecam.extras import install
from whalecam.store.run import Run
from whalecam.store.table import aligned, embeddings

MOST = 8000
"""Of more images a sample is drawn: a browser stays quick with so many points, and UMAP takes a minute."""
FEWEST = 10


def laid_out(run: Run) -> pd.DataFrame:
    """The rows of `table.embeddings` that are laid out: all of them, or a sample that is the same in every call."""
    return embeddings(run.parts(), MOST)


def pca(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The two directions of largest variance: (N, K) → (N, 2); each direction points to its largest absolute value."""
    from sklearn.decomposition import PCA

    if min(vectors.shape) < 2:
        return np.zeros((len(vectors), 2))
    places = PCA(2, svd_solver="full").fit_transform(vectors.astype(np.float64))
    farthest = np.abs(places).argmax(axis=0)
    signs = np.sign(places[farthest, [0, 1]])
    return np.asarray(places * np.where(signs == 0, 1, signs))


def umap(vectors: NDArray[np.float32], report: Report = silent) -> NDArray[np.float64]:
    """Neighbours by cosine laid out on a plane (McInnes et al. 2018, arXiv 1802.03426): (N, K) → (N, 2); seed 0.

    Raises RunError where umap-learn or what it needs cannot be loaded.
    """
    report(Progress("loading UMAP", 0, 0))
    try:
        from umap import UMAP
    except ImportError as error:
        raise RunError(
            f"UMAP cannot be loaded here: {error}. The map by PCA works without it; or: {install('umap')}"
        ) from error
    ticks = {"disable": False, "file": _Ticks(report), "bar_format": "{n}/{total}", "mininterval": 0.2}
    near = min(15, len(vectors) - 1)
    # With a seed UMAP runs in one thread and says so; here that is wanted.
    model = UMAP(n_neighbors=near, metric="cosine", random_state=0, n_jobs=1, verbose=True, tqdm_kwds=ticks)
    with redirect_stdout(io.StringIO()):  # which its other words go to
        return np.asarray(model.fit_transform(vectors), np.float64)


class _Ticks:
    """Where UMAP's progress bar writes to: "12/500" becomes a report."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def write(self, text: str) -> None:
        done, _, total = text.strip().partition("/")
        if done.isdigit() and total.isdigit():
            self._report(Progress("laying out the map", int(done), int(total)))

    def flush(self) -> None:
        """Nothing is kept back."""


WAYS: dict[str, Callable[..., NDArray[np.float64]]] = {"pca": pca, "umap": umap}


def lay_out(run: Run, report: Report = silent) -> int:
    """Lay all images of an audited run out by UMAP and keep their places in the run folder; return how many.

    Raises RunError where the audit holds no vectors, or too few.
    """
    rows = laid_out(run)
    if len(rows) < FEWEST:
        raise RunError(f"{len(rows)} images of run '{run.name}' have vectors; a map needs {FEWEST}. {AGAIN}")
    places = umap(aligned(rows), report)
    aside = run.embedding.with_suffix(".writing")
    with aside.open("wb") as file:
        content: dict[str, Any] = {"stamp": np.array(stamp(run)), "image": rows["image"].to_numpy(str)}
        np.savez(file, allow_pickle=False, places=places.astype(np.float32), **content)
    aside.replace(run.embedding)
    return len(rows)


AGAIN = "This run was audited before WhaleCAM kept them: delete its folder `audit`, then audit again."


def kept(run: Run, rows: pd.DataFrame) -> NDArray[np.float32] | None:
    """The places (N, 2) that `lay_out` kept for exactly these rows; None where there are none of this audit."""
    try:
        with np.load(run.embedding, allow_pickle=False) as stored:
            same = str(stored["stamp"]) == stamp(run) and stored["image"].tolist() == rows["image"].tolist()
            places = stored["places"]
            return places if same and places.shape == (len(rows), 2) else None
    except (OSError, ValueError, KeyError, EOFError):  # none, half a file, or a stranger's: it is made anew
        return None


def changed(run: Run) -> RunError:
    """What to say where a run was audited anew while its images were laid out."""
    return RunError(f"Run '{run.name}' was audited anew meanwhile. Lay its images out again.")


def stamp(run: Run) -> str:
    """What changes with every audit."""
    parts = run.parts()
    return f"{run.manifest.model_sha256} {len(parts)} {parts[-1].name if parts else ''}"


def nearest(vectors: NDArray[np.float32], at: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `count` rows most like row `at` by cosine, it left out, nearest first; and their cosines, -1 to 1.

    Args:
        vectors: (N, K), each of length 1 or 0, as `table.aligned` gives them.
    """
    alike = vectors.astype(np.float64) @ vectors[at].astype(np.float64)
    order = np.argsort(-alike, kind="stable")
    order = order[order != at][:count]
    return order.astype(np.int64), alike[order]
