"""The files that a configuration is composed of: `conf/` and a directory of the user's own groups.

Plain words in YAML 1.1 are not always what stands there: `yes` is true, `12:30` is 750, `010` is 8, `1.10` is 1.1. A
value is a number here only where Python writes that number with the same characters. All else stays text, which the
schema reads as a number where the field is one, so that a name, a time limit or an answer stays what was written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from sweep.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"


class AsWritten(get_yaml_loader()):
    """OmegaConf's YAML, in which a plain value that Python would write otherwise stays text."""


def _number(loader: AsWritten, node: yaml.ScalarNode) -> int | float | str:
    text = loader.construct_scalar(node)
    for kind in (int, float):
        try:
            if str(kind(text)) == text:
                return kind(text)
        except ValueError:
            continue
    named = text.lower().lstrip("+-") in (".inf", ".nan")
    return loader.construct_yaml_float(node) if named else text


def _truth(loader: AsWritten, node: yaml.ScalarNode) -> bool | str:
    text = loader.construct_scalar(node)
    return {"true": True, "false": False}.get(text.lower(), text)


for _tag, _construct in (("int", _number), ("float", _number), ("bool", _truth)):
    AsWritten.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


def _part_of(whole: int | str, share: float, most: int) -> int:
    """`${part_of:WHOLE,SHARE,MOST}` in a file of `conf/`: a share of a number of tokens, but not more than `most`."""
    return min(most, int(int(whole) * share))


OmegaConf.register_new_resolver("part_of", _part_of)


class FilesAsWritten(FileConfigSource):
    """Hydra's files, read by `AsWritten`."""

    @staticmethod
    def scheme() -> str:
        return "as_written"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file.

        Raises:
            ConfigLoadError: there is no such file.
            UserError: it is no YAML mapping; with its line.
        """
        file = Path(self.path) / self._normalize_file_name(config_path)
        if not file.is_file():
            raise ConfigLoadError(f"Config not found : {file}")
        try:
            text = file.read_text(encoding="utf-8")
            values = yaml.load(text, AsWritten)
        except UnicodeDecodeError as error:
            raise UserError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
        except yaml.MarkedYAMLError as error:
            raise UserError(f"{file}{_line(error)}: not YAML: {error.problem}") from None
        if not isinstance(values or {}, dict):
            raise UserError(f"{file}: should hold `key: value` lines, and holds {str(values)!r}")
        return ConfigResult(
            config=OmegaConf.create(values or {}),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=self._get_header_dict(text[:512]),
        )


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}" if mark else ""


@contextmanager
def configuration_files(config_dir: str | None) -> Iterator[ConfigLoader]:
    """Make Hydra compose from `conf/` and then from `config_dir`, whose path may hold any character.

    Raises:
        UserError: there is no such directory, or a file of it would be hidden by one of `conf/`.
    """
    SourcesRegistry.instance().register(FilesAsWritten)
    search = create_config_search_path(f"{FilesAsWritten.scheme()}://{CONF}")
    if config_dir is not None:
        own = Path(os.path.abspath(os.path.expanduser(config_dir)))
        if not own.is_dir():
            raise UserError(f"--config-dir {config_dir}: no such directory")
        _refuse_hidden(own)
        before_schemas = SearchPathQuery(provider="schema")
        search.prepend("--config-dir", f"{FilesAsWritten.scheme()}://{own}", anchor=before_schemas)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = ConfigLoaderImpl(config_search_path=search)
        GlobalHydra.instance().hydra.config_loader = loader
        yield loader


def _refuse_hidden(own: Path) -> None:
    """Of two files of one name Hydra takes the one in `conf/` without a word."""
    for file in sorted(own.glob("*/*.yaml")):
        hiding = CONF / file.relative_to(own)
        if hiding.is_file() and hiding.read_bytes() != file.read_bytes():
            raise UserError(f"{file}: there is a conf/{file.relative_to(own)} already, which would be taken; rename it")
