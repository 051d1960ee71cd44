"""The command line: `python -m sweep --help` lists it. Loads no torch.

From any directory it is `python PATH/TO/sweep`, which Python runs as a script of that directory.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:
    # Python put this directory at the head of the path, where its modules would be found without their package's name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import typer

from sweep.commands import after, before, during, inside
from sweep.errors import UserError
from sweep.run.unwritable import complaint
from sweep.shown import shown_lines

COMPOSING = ("plan", "prefetch")  # take overrides, of which output_dir is one
app = typer.Typer(
    help="Plan, watch and compare sweeps. Launch one with `python launch.py -m …`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (before.commands, during.commands, inside.commands, after.commands):
    app.add_typer(commands)


def _arguments(typed: list[str]) -> list[str]:
    """`typed` with `output_dir=DIR`, as a launch takes it, turned into the option that means the same here."""
    words: list[str] = []
    for word in typed:
        if word.startswith("output_dir=") and typed[0] not in COMPOSING and words[-1:] != ["--set"]:
            from sweep.plan.overrides import one_value

            words += ["--output-dir", one_value(word)]
        else:
            words.append(word)
    return words


def main(typed: list[str]) -> int:
    """Returns the exit code: 2 for bad input."""
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
        # Typer's own usage errors, whichever click it brings along.
        if not hasattr(error, "format_message"):
            raise
        print(error.format_message(), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
