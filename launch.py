"""Launch a sweep: `python launch.py -m model=… reward=… seed=…`.

Hydra owns the command line: `--help`, `--cfg job`, `--info`, shell completion and overrides are its own. What it
would run as one job, or hand to a sweeper, is composed by `sweep.plan` instead, so that one cell and a thousand take
the same way and bad input is refused before anything is written.
"""

from __future__ import annotations

import sys

import hydra
from hydra._internal.utils import get_args_parser

from sweep.errors import UserError


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def hydra_only(_config) -> None:
    """Hydra's own commands, which end before any job would start."""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parsed = get_args_parser().parse_intermixed_args(arguments)
    if parsed.help or parsed.hydra_help or parsed.cfg or parsed.info or parsed.shell_completion:
        hydra_only()
        return 0
    from sweep.dispatch.launch import launch

    try:
        if parsed.config_name or parsed.config_path:
            raise UserError("--config-name and --config-path: there is one configuration; add groups with --config-dir")
        return launch(parsed.overrides, parsed.config_dir)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
