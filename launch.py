"""Launch a sweep: `python launch.py -m model=… reward=… seed=…`.

Hydra owns the command line: `--help`, `--info`, shell completion and overrides are its own. What it would run as one
job, hand to a sweeper or show with `--cfg job` is composed by `sweep.plan` instead, so that one cell and a thousand
take the same way and bad input is refused before anything is written.
"""

from __future__ import annotations

import argparse
import shlex
import sys

import hydra
from hydra._internal.utils import get_args_parser

from sweep.errors import UserError, without_secrets
from sweep.shown import shown_lines


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def hydra_only(_config) -> None:
    """Hydra's own commands, which end before any job would start."""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = get_args_parser()
    parser.add_argument("--output-dir", help="output_dir, as `python -m sweep` takes it")
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.help or parsed.hydra_help or parsed.shell_completion:
        hydra_only()
        return 0
    try:
        return _run(parsed)
    except UserError as error:
        print(shown_lines(str(error)), file=sys.stderr)
        return 2


def _run(parsed: argparse.Namespace) -> int:
    """What one asks for beside help; Hydra shows only what composes."""
    if parsed.config_name or parsed.config_path:
        raise UserError("--config-name and --config-path: there is one configuration; add groups with --config-dir")
    from sweep.plan.overrides import with_output_dir

    overrides = with_output_dir(parsed.overrides, parsed.output_dir)
    if parsed.cfg == "job":
        from sweep.plan.show import check, first_configuration

        print(first_configuration(overrides, parsed.config_dir, parsed.package, parsed.resolve))
        cells = check(overrides, parsed.config_dir)
        if cells > 1:
            typed = [*overrides, *(["--config-dir", parsed.config_dir] if parsed.config_dir else [])]
            all_of_them = f"`python -m sweep plan {shlex.join(typed)}` shows all"
            print(without_secrets(f"this is the first of {cells} cells; {all_of_them}"), file=sys.stderr)
        return 0
    if parsed.cfg or parsed.info:
        return _show_hydras_own(parsed, overrides)
    from sweep.dispatch.launch import launch

    return launch(overrides, parsed.config_dir)


def _show_hydras_own(parsed: argparse.Namespace, overrides: list[str]) -> int:
    """`--info`, and `--cfg` with Hydra's own keys, of the first cell: Hydra shows one job."""
    from sweep.plan.compose import compose_first

    lines, _ = compose_first(overrides, parsed.config_dir)
    asked = ["--cfg", parsed.cfg] if parsed.cfg else ["--info", parsed.info]
    more = {"--package": parsed.package, "--config-dir": parsed.config_dir}
    words = [word for option, value in more.items() if value for word in (option, value)]
    sys.argv[1:] = [*asked, *words, *["--resolve"] * parsed.resolve, *lines]
    hydra_only()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
