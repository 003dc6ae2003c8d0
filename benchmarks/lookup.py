"""Looking individuals up at the size of Happywhale's catalogue, on generated vectors.

    python -m benchmarks.lookup [--images 51033] [--individuals 15587] [--length 128]

Prints the milliseconds for the candidates of one query, the seconds for the ranks of all images among all others, and
the memory that both took beyond the vectors.
"""

import resource
import time

import click
import numpy as np

from whalecam.assessment import retrieval


def vectors_of(images: int, individuals: int, length: int) -> tuple[retrieval.Vectors, retrieval.Codes]:
    """Unit vectors around one centre for each individual, and the individual of each image."""
    rng = np.random.default_rng(0)
    who = np.concatenate([np.arange(individuals), rng.integers(0, individuals, images - individuals)])
    centres = rng.normal(size=(individuals, length)).astype(np.float32)
    return retrieval.unit(centres[who] + 1.2 * rng.normal(size=(images, length)).astype(np.float32)), who


def peak_mb() -> float:
    """Most memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@click.command()
@click.option("--images", default=51_033, show_default=True)
@click.option("--individuals", default=15_587, show_default=True)
@click.option("--length", default=128, show_default=True)
def main(images: int, individuals: int, length: int) -> None:
    """Time one query and all of them."""
    vectors, who = vectors_of(images, individuals, length)
    gallery = retrieval.gallery_of(vectors, who)
    before = peak_mb()
    times = []
    for query in range(20):
        started = time.perf_counter()
        retrieval.candidates(gallery, vectors[query : query + 1], 5, np.array([query]))
        times.append(time.perf_counter() - started)
    click.echo(f"candidates of one query: {1000 * float(np.median(times)):.0f} ms (median of 20)")
    started = time.perf_counter()
    found = retrieval.ranks(gallery, vectors, who, leave_out=np.arange(images))
    seconds = time.perf_counter() - started
    click.echo(f"ranks of {images:,} images: {seconds:.0f} s, top-1 {retrieval.accuracy(found.rank).top1.value:.3f}")
    click.echo(f"memory beyond the vectors: {peak_mb() - before:.0f} MB")


if __name__ == "__main__":
    main()
