"""The command line: parse, call, print. Commands import inside their functions, so that `nmt --help` is instant."""

import os
import sys

import click

from nmt.cli.data import data
from nmt.cli.distill import distill
from nmt.cli.evaluate import evaluate
from nmt.cli.export import export
from nmt.cli.inspect import inspect
from nmt.cli.score import rescore, score
from nmt.cli.shortlist import shortlist
from nmt.cli.train import train
from nmt.cli.translate import translate
from nmt.cli.tune import tune
from nmt.errors import NmtError

# A thread with nothing to do spins so long before it sleeps. With OpenMP's own count, training on all cores falls to
# a twentieth of its speed as soon as another process wants a core; with this one to a third, and alone it costs 7 %
# (`nmt train quickstart` on two cores, alone and beside a busy process; one run each). libgomp reads it at import.
SPIN_COUNT = "5000"

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="nmt")
def nmt() -> None:
    """Recurrent neural machine translation: raw text to a scored translator."""


for command in (train, translate, evaluate, distill, inspect, export, score, rescore, tune, shortlist, data):
    nmt.add_command(command)


def main() -> None:
    """Run the command line; a fault that a user can mend is printed without a traceback."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    try:
        sys.exit(nmt(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (NmtError, OSError) as error:  # OSError: a full disk or the like, of which no one closer could say more
        click.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
