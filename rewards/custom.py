"""A user's own function, a reward or a detector: located without importing it, stored as text in the configuration,
run in the job.
"""

from __future__ import annotations

import ast
import math
import re
import sys
import textwrap
import traceback
import types
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

TARGET = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class FunctionSource(BaseModel):
    """The source file of a user's function, as it was when the configuration was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    directory: str = Field(json_schema_extra={"identity": False}, description="where its other modules are found")
    source: str = Field(description="the text of its file")


def with_function(values: object) -> object:
    """Return the values of a section that may have a `target`, with the file of its function as `function`.

    A target that is no `package.module:function` is left to the section's own check, and so is a file that is given.
    """
    target = values.get("target") if isinstance(values, dict) else None
    if isinstance(target, str) and re.match(TARGET, target) and values.get("function") is None:
        return {**values, "function": locate(target)}
    return values


def locate(target: str) -> dict[str, str]:
    """Find `package.module:function` from the current directory or the installed packages; nothing is imported.

    Raises:
        ValueError: there is no such module, it does not parse, or it has no such function.
    """
    module, _, function = target.partition(":")
    spec = _find(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ValueError(f"target={target}: no module {module} in {Path.cwd()} or among the installed packages")
    file = Path(spec.origin).resolve()
    source = file.read_text(encoding="utf-8")
    try:
        defined = _defined(ast.parse(source, str(file)))
    except SyntaxError as error:
        raise ValueError(f"target={target}: {file}, line {error.lineno}: {error.msg}") from None
    if function not in defined:
        there = ", ".join(sorted(defined)) or "none"
        raise ValueError(f"target={target}: {file} defines no {function} at its top level; it defines: {there}")
    levels = module.count(".") + (file.name == "__init__.py")
    return {"directory": str(file.parents[levels]), "source": source}


def _find(module: str) -> ModuleSpec | None:
    path: Sequence[str] | None = [str(Path.cwd()), *sys.path]
    spec = None
    for word in module.split("."):
        # Without the words before it: by its whole name, a folder without __init__.py is found in imported ones alone.
        spec = PathFinder.find_spec(word, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


def _defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(a.asname or a.name) for a in node.names}
    return names


def call(target: str, function: FunctionSource, group: Sequence[Any]) -> list[float]:
    """Call the user's function on a group and return one reward for each response.

    Raises:
        ValueError: the function raises an exception, or does not return one finite number for each response. The
            message names the function's file and line.
    """
    try:
        own = load(target, function)
        returned = own(group)
        found = list(returned) if isinstance(returned, Iterable) and not isinstance(returned, str | Mapping) else None
    except Exception as error:  # any exception comes from the user's function: report the line that raised it
        place = _where_raised(target, function, error, "the list of a group's responses")
        raise ValueError(f"reward.target={target} raised {type(error).__name__}: {error} ({place})") from error
    defined = _place(target, function, getattr(getattr(own, "__code__", None), "co_firstlineno", None))
    wanted = f"it must return one finite number for each of the {len(group)} responses ({defined})"
    if found is None:
        raise ValueError(f"reward.target={target} returned {textwrap.shorten(repr(returned), 80)}; {wanted}")
    if len(found) != len(group):
        raise ValueError(f"reward.target={target} returned {len(found)} rewards; {wanted}")
    wrong = [value for value in found if not _is_finite_number(value)]
    if wrong:
        raise ValueError(f"reward.target={target} returned {textwrap.shorten(repr(wrong[0]), 80)} in it; {wanted}")
    return [float(value) for value in found]


def decide(target: str, function: FunctionSource, text: str) -> bool:
    """Call the user's detector on a text and return its decision.

    Raises:
        ValueError: the function raises an exception, or returns no truth value. The message names its file and line.
    """
    try:
        returned = load(target, function)(text)
    except Exception as error:  # any exception comes from the user's function: report the line that raised it
        place = _where_raised(target, function, error, "a text")
        raise ValueError(f"target={target} raised {type(error).__name__}: {error} ({place})") from error
    if type(returned).__name__ not in ("bool", "bool_"):  # bool_ was NumPy's name of its own
        shown = textwrap.shorten(repr(returned), 80)
        raise ValueError(
            f"target={target} returned {shown}; it must return True or False ({_module(target, function)})"
        )
    return bool(returned)


def _is_finite_number(value: Any) -> bool:
    """Return True for finite numbers, NumPy's and torch's included. Text that reads as a number does not count."""
    try:
        return not isinstance(value, str | bytes) and math.isfinite(value)
    except (TypeError, ValueError):
        return False


def _where_raised(target: str, function: FunctionSource, error: Exception, argument: str) -> str:
    """Return the deepest line of the function's own file on the traceback, else the deepest line of all.

    Args:
        argument: what the function is called with.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == _named(target, function)]
    if own:
        return _place(target, function, own[-1].lineno)
    if frames[-1].filename == __file__:  # the call itself failed: the function takes other arguments
        return f"it is called with one argument, {argument}; {_module(target, function)}"
    return f"{frames[-1].filename}, line {frames[-1].lineno}"


def _place(target: str, function: FunctionSource, line: int | None) -> str:
    """Return the function's file and, if it is known, the line of the stored text."""
    file = _module(target, function)
    lines = function.source.splitlines()
    if line is None or line > len(lines):
        return str(file)
    return f"{file}, line {line}: {lines[line - 1].strip()}"


def _module(target: str, function: FunctionSource) -> Path:
    """Return the path of the file that the text was read from."""
    module = Path(function.directory, *target.partition(":")[0].split("."))
    return module / "__init__.py" if (module / "__init__.py").is_file() else module.with_name(f"{module.name}.py")


@lru_cache
def _named(target: str, function: FunctionSource) -> str:
    """Return the file name that tracebacks and debuggers show for the frozen text.

    It is the function's own file as long as that still holds the same text: a debugger then shows its lines and stops
    at breakpoints that were set in it.
    """
    file = _module(target, function)
    try:
        is_same = file.read_text(encoding="utf-8") == function.source
    except (OSError, UnicodeDecodeError):
        is_same = False
    return str(file) if is_same else f"<target={target}>"


@lru_cache
def load(target: str, function: FunctionSource) -> Any:
    """Run the stored text as the module it came from and return the function. Its imports are found beside the file.

    Raises:
        Exception: whatever the text raises while it runs.
    """
    name, _, wanted = target.partition(":")
    if function.directory not in sys.path:
        sys.path.append(function.directory)
    module = types.ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    sys.modules.setdefault(name, module)  # dataclasses look up their own module there
    exec(compile(function.source, _named(target, function), "exec"), module.__dict__)
    return getattr(module, wanted)
