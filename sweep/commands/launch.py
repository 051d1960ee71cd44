"""The command that launches a sweep: `python launch.py …`, which is `rlvr-sweep launch …` where that is installed.

Hydra owns its command line: `--help`, `--info`, shell completion and overrides are its own. What it would run as one
job, hand to a sweeper or show with `--cfg job` is composed by `sweep.plan` instead, so that one cell and a thousand
take the same way and bad input is refused before anything is written.
"""

from __future__ import annotations

import argparse
import shlex
import sys

import hydra
import typer
from hydra._internal.utils import get_args_parser

from sweep.config.local import groups_of_the_user
from sweep.errors import UserError, without_secrets
from sweep.program import program
from sweep.run.provenance import ROOT
from sweep.shown import shown_lines

commands = typer.Typer()


@commands.command(
    "launch", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
def launch_command(context: typer.Context) -> None:
    """Run what is missing of a sweep, here or on a cluster; `launch --help` lists the choices."""
    if {"-sc", "--shell-completion"} & set(context.args):
        raise UserError("--shell-completion: Hydra completes what follows `python launch.py`, and no other command")
    raise typer.Exit(main(context.args))


@hydra.main(config_path=str(ROOT / "conf"), config_name="config", version_base="1.3")
def hydra_only(_config: object) -> None:
    """Run one of Hydra's own commands, such as `--help`, which end before a job would start."""


def main(arguments: list[str]) -> int:
    """Parse `arguments`, run what they ask for, and return the exit code: 2 for bad input."""
    parser = get_args_parser()
    parser.add_argument("--output-dir", help="output_dir, as the other commands take it")
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.help or parsed.hydra_help or parsed.shell_completion:
        _hydra(arguments)
        return 0
    try:
        return _run(parsed)
    except UserError as error:
        print(shown_lines(str(error)), file=sys.stderr)
        return 2


def _run(parsed: argparse.Namespace) -> int:
    """Run or show what the parsed arguments ask for, help excepted; return the exit code."""
    if parsed.config_name or parsed.config_path:
        raise UserError("--config-name and --config-path: there is one configuration; add groups with --config-dir")
    from sweep.plan.overrides import with_output_dir

    overrides = with_output_dir(parsed.overrides, parsed.output_dir)
    if parsed.cfg == "job":
        from sweep.plan.show import check, first_configuration

        print(first_configuration(overrides, parsed.config_dir, parsed.package, parsed.resolve))
        cells, settings = check(overrides, parsed.config_dir)
        for line in settings:
            print(shown_lines(line), file=sys.stderr)
        if cells > 1:
            typed = [*overrides, *(["--config-dir", parsed.config_dir] if parsed.config_dir else [])]
            all_of_them = f"`{program()} plan {shlex.join(typed)}` shows all"
            print(without_secrets(f"this is the first of {cells} cells; {all_of_them}"), file=sys.stderr)
        return 0
    if parsed.cfg or parsed.info:
        return _show_hydras_own(parsed, overrides)
    from sweep.dispatch.launch import launch

    return launch(overrides, parsed.config_dir)


def _show_hydras_own(parsed: argparse.Namespace, overrides: list[str]) -> int:
    """Show `--info`, or `--cfg` with Hydra's own keys, for the first cell, because Hydra shows one job."""
    from sweep.plan.compose import compose_first

    lines, _ = compose_first(overrides, parsed.config_dir)
    asked = ["--cfg", parsed.cfg] if parsed.cfg else ["--info", parsed.info]
    more = {"--package": parsed.package, "--config-dir": parsed.config_dir}
    words = [word for option, value in more.items() if value for word in (option, value)]
    _hydra([*asked, *words, *["--resolve"] * parsed.resolve, *lines])
    return 0


def _hydra(arguments: list[str]) -> None:
    """Run Hydra on `arguments`, with the user's own groups and with choices in directories, which it does not find by
    itself.

    Hydra reads its arguments from sys.argv.
    """
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.plugins import Plugins

    from sweep.plan.files import FilesAsWritten
    from sweep.plan.overrides import quoted

    Plugins.instance()  # registers Hydra's own source of files, whose place ours takes
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FilesAsWritten

    own = groups_of_the_user()
    sys.argv[1:] = [*arguments, *[f"hydra.searchpath=[{quoted(f'file://{own}')}]"] * own.is_dir()]
    hydra_only()
