"""The same verbs without a browser: `whalecam …`, or `python -m whalecam …`."""

import os
import signal
import sys
import warnings
from types import FrameType

import click

from whalecam import __version__
from whalecam.cli import data, matches, model, remedy, results, review, selftest, serving
from whalecam.cli.output import finish
from whalecam.errors import WhalecamError
from whalecam.extras import missing
from whalecam.storage_errors import unwritable


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="whalecam")
def cli() -> None:
    """Find, prove and sign the images whose classification rests on the water.

    Exit status: 0 ok, 1 findings or a gate failed, 2 bad input or no place to write, 130 cancelled.
    """


ALIASES = {"flag": review.review, "map": results.embed}
"""Other names of verbs: a short form, and one that an earlier version gave."""
for group in (serving, data, model, remedy, review, results, matches, selftest):
    for verb in group.VERBS:
        cli.add_command(verb)
for name, verb in ALIASES.items():
    cli.add_command(verb, name)


def main() -> None:
    """Run one verb; whatever goes wrong becomes one line and an exit status."""
    if not os.environ.get("WHALECAM_DEBUG"):
        warnings.simplefilter("ignore")  # libraries' notes to programmers
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        status = cli.main(standalone_mode=False)
    except WhalecamError as error:
        status = finish("failed", str(error), 2)
    except click.ClickException as error:
        status = finish("failed", error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        status = finish("cancelled", "Cancelled.", 130)
    except SystemExit as ended:
        # A verb that found something: it did its work, and its status says what it found.
        status = finish("done", "", int(ended.code or 0))
    except Exception as error:
        if os.environ.get("WHALECAM_DEBUG"):
            raise
        status = _failed(error)
    else:
        finish("done", "", 0)
    sys.exit(status or 0)


def _failed(error: Exception) -> int:
    """Say what is no error meant for people: a missing library, a full disk, a fault of WhaleCAM's own."""
    if known := missing(error) or unwritable(error):
        return finish("failed", known, 2)
    return finish("failed", f"internal error: {type(error).__name__}: {error}. Set WHALECAM_DEBUG=1 to see where.", 70)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
