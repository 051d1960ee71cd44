"""The files from which a configuration is composed: `conf/` and directories of the user's own groups."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import DictConfig, OmegaConf

from sweep.config.as_written import read_mapping
from sweep.config.local import CONF, GROUP, groups_of_the_user
from sweep.errors import UserError


def _part_of(whole: int | str, share: float, most: int) -> int:
    """Resolve `${part_of:WHOLE,SHARE,MOST}` in a file of `conf/`: a share of a number of tokens, at most `most`."""
    return min(most, int(int(whole) * share))


def _asked(key: str, own: Any, *, _root_: DictConfig) -> Any:
    """Resolve `${asked:KEY,OWN}` in a benchmark's file: what is set for every benchmark, else the benchmark's own."""
    shared = OmegaConf.select(_root_, f"evaluation.{key}")
    return own if shared is None else shared


OmegaConf.register_new_resolver("part_of", _part_of)
OmegaConf.register_new_resolver("asked", _asked)


Names = list[str]  # within the class below, `list` is its method


class FilesAsWritten(FileConfigSource):
    """Hydra's source of files, which reads them with `AsWritten`."""

    @staticmethod
    def scheme() -> str:
        """Return the name of this source in Hydra's search path."""
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
        values, text = read_mapping(file)
        return ConfigResult(
            config=OmegaConf.create(values),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=self._get_header_dict(text[:512]),
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> Names:
        """Return what a group has: choices with those in its directories too, as `paper/rewards` is of `experiment`."""
        found = super().list(config_path, results_filter)
        if not config_path or results_filter is not ObjectType.CONFIG:
            return found
        group = Path(self.path) / config_path
        return sorted([*found, *(str(file.relative_to(group).with_suffix("")) for file in group.glob("*/**/*.yaml"))])


@contextmanager
def configuration_files(config_dir: str | None) -> Iterator[ConfigLoaderImpl]:
    """Make Hydra compose from `conf/`, then from `config_dir`, then from the user's own groups.

    Their paths may hold any character.

    Raises:
        UserError: there is no directory `config_dir`, or a file would be hidden by one of a directory before it.
    """
    SourcesRegistry.instance().register(FilesAsWritten)
    search = create_config_search_path(f"{FilesAsWritten.scheme()}://{CONF}")
    before_schemas = SearchPathQuery(provider="schema")
    before = [CONF]
    for name, own in _directories_beside(config_dir):
        _refuse_hidden(own, before)
        search.prepend(name, f"{FilesAsWritten.scheme()}://{own}", anchor=before_schemas)
        before.append(own)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = ConfigLoaderImpl(config_search_path=search)
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None  # it was initialised by the line above
        hydra.config_loader = loader
        yield loader


def _directories_beside(config_dir: str | None) -> Iterator[tuple[str, Path]]:
    """Yield the directories of groups beside `conf/`, in their order, each with its name in Hydra."""
    if config_dir is not None:
        own = Path(os.path.abspath(os.path.expanduser(config_dir)))
        if not own.is_dir():
            raise UserError(f"--config-dir {config_dir}: no such directory")
        yield "--config-dir", own
    if groups_of_the_user().is_dir():
        yield "groups of the user", groups_of_the_user()


def _refuse_hidden(own: Path, before: Sequence[Path]) -> None:
    """Refuse a file that has the name of one in an earlier directory, because Hydra would silently take that one.

    Files of `local` are excepted: a launch reports which of them counts.
    """
    for file in sorted(own.glob("*/**/*.yaml")):
        name = file.relative_to(own)
        hiding = next((place / name for place in before if (place / name).is_file()), None)
        if hiding and name.parts[0] != GROUP and hiding.read_bytes() != file.read_bytes():
            shown = f"conf/{name}" if before[0] in hiding.parents else hiding
            raise UserError(f"{file}: there is a {shown} already, which would be taken; rename it")
