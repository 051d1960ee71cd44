"""The size of a download, from what `uv pip compile --format pylock.toml` writes for one Python and one platform.

`make lock` puts what this prints into requirements-gpu.lock, so that `make gpu` can say it before it begins.
"""

from __future__ import annotations

import sys


def gigabytes(lock: dict) -> float:
    """Gigabytes (10⁹ bytes) of all packages of a parsed pylock.toml.

    A package's wheels fit the platform, and pip takes one of them: the largest stands for it here. A package without a
    wheel is downloaded as its source. Raises KeyError where the index does not tell a size.
    """
    files = [package.get("wheels") or [package["sdist"]] for package in lock["packages"]]
    return sum(max(file["size"] for file in choice) for choice in files) / 1e9


if __name__ == "__main__":
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    with open(sys.argv[1], "rb") as file:
        print(f"{gigabytes(tomllib.load(file)):.1f} GB")
