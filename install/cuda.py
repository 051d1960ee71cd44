"""Refuses an environment whose torch was built without CUDA. `make gpu` ends with this; it needs no GPU."""

from __future__ import annotations

import sys

import torch


def main() -> None:
    """Say for which CUDA torch was built. Exits with a message where it is for none."""
    if torch.version.cuda is None:
        sys.exit(
            f"{sys.prefix} has torch {torch.__version__}, built without CUDA, which leaves GPUs unused. pip "
            "took it from an index or a folder that is set on this machine: `pip config list` and the variables that "
            "begin with PIP_ show which. Take PyPI's: PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL= "
            "PIP_INDEX_URL=https://pypi.org/simple make gpu"
        )
    print(f"{sys.prefix} has torch {torch.__version__} for CUDA {torch.version.cuda}")


if __name__ == "__main__":
    main()
