"""The command line; `python -m sweep --help` lists the commands. Starting it loads no torch.

From any directory it can be run as `python PATH/TO/sweep`: Python then runs it as a script of that directory. If it is
installed, the command `rlvr-sweep` does the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put another directory first on the path. With -m it is the current one, where a folder `models` of the user
    # would hide the project's; else it is this one, whose modules could be imported without the package's name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import typer

from sweep.commands import after, before, compare, doctor, during, evaluate, inside, launch, transitions
from sweep.config.local import default_output_dir, local_file
from sweep.errors import UserError
from sweep.run.unwritable import complaint
from sweep.shown import shown_lines

COMPOSING = ("launch", "plan", "prefetch", "doctor")  # these commands take overrides, of which output_dir is one
app = typer.Typer(
    help="Plan, launch, watch and compare sweeps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (before, launch, during, evaluate, inside, compare, after, transitions, doctor):
    app.add_typer(commands.commands)


def _arguments(typed: list[str]) -> list[str]:
    """Return `typed` with the override `output_dir=DIR` of a launch turned into the option --output-dir.

    If settings of this machine name an output directory, that option comes first, so that a typed one wins.
    """
    words: list[str] = []
    for word in typed:
        if word.startswith("output_dir=") and typed[0] not in COMPOSING and words[-1:] != ["--set"]:
            from sweep.plan.overrides import one_value

            words += ["--output-dir", one_value(word)]
        else:
            words.append(word)
    if words and not words[0].startswith("-") and words[0] not in COMPOSING and local_file():
        words[1:1] = ["--output-dir", str(default_output_dir())]
    return words


def main(typed: list[str]) -> int:
    """Run the command that was typed and return its exit code: 2 for bad input."""
    try:
        return app(_arguments(typed), standalone_mode=False) or 0
    except UserError as error:
        print(shown_lines(str(error)), file=sys.stderr)
        return 2
    except OSError as error:
        if not (fault := complaint(error)):
            raise
        print(fault, file=sys.stderr)
        return 2
    except Exception as error:
        # Usage errors are recognised by this method, because Typer may bring its own copy of click's classes.
        if not hasattr(error, "format_message"):
            raise
        print(error.format_message(), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
