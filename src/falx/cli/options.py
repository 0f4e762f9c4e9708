"""Options of a configuration class, and how they are read back."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from falx.core.errors import check_option
from falx.core.settings import Option, options_of, read_toml, resolve
from falx.core.study import Study

__all__ = ["add_configuration", "add_options", "configuration_from", "options_from"]

Parser = argparse.ArgumentParser | argparse._ArgumentGroup
T = TypeVar("T")


def add_configuration(
    parser: argparse.ArgumentParser,
    study: Study,
    also: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """Add ``--config``, ``--preset`` and one option for every configuration value.

    `also` gives further flags, as in :func:`add_options`.
    """
    general = parser.add_argument_group("configuration")
    general.add_argument("--config", type=Path, metavar="FILE", help="configuration file (TOML)")
    if study.presets:
        general.add_argument(
            "--preset",
            default="",
            metavar="{" + ",".join(study.presets) + "}",
            help="a named set of choices; single options change it further",
        )
    add_options(parser, study.configuration, also=also)


def add_options(
    parser: Parser,
    settings: type[Any],
    *,
    also: Mapping[str, tuple[str, ...]] | None = None,
    without: Sequence[type[Any]] = (),
) -> None:
    """Add one option for every value of a settings class, each section under its heading.

    Parameters
    ----------
    parser
        Or a group of one: where the values of a class without sections go.
    settings
        Dataclass of :func:`falx.core.settings.option` fields, or of sections of them.
    also
        Key to further flags of the same meaning, such as those of earlier versions.
    without
        Classes whose options the parser has already.
    """
    groups: dict[str, Parser] = {}
    had = {key for one in without for key in options_of(one)}
    for key, declared in options_of(settings).items():
        if key in had:
            continue
        section, point, _ = key.rpartition(".")
        if point and section not in groups:
            groups[section] = parser.add_argument_group(section)
        _add(groups.get(section, parser), declared, (also or {}).get(key, ()))


def options_from(arguments: argparse.Namespace, settings: type[T]) -> T:
    """Read back what :func:`add_options` added; what was not given has its default."""
    return resolve(settings, _given(arguments, settings))  # type: ignore[no-any-return]


def _given(arguments: argparse.Namespace, settings: type[Any]) -> dict[str, object]:
    return {key: getattr(arguments, key) for key in options_of(settings) if key in arguments}


def configuration_from(
    arguments: argparse.Namespace, study: Study, further: Mapping[str, object]
) -> Any:
    """Resolve the configuration: defaults, preset, file, options, and `further` in this order."""
    preset = getattr(arguments, "preset", "")
    if preset:
        check_option("--preset", preset, study.presets)
    layers = [dict(study.presets[preset])] if preset else []
    if arguments.config is not None:
        layers.append(read_toml(arguments.config))
    layers.append(_given(arguments, study.configuration))
    return resolve(study.configuration, *layers, further)


def _add(group: Parser, declared: Option, also: tuple[str, ...]) -> None:
    common: dict[str, Any] = {
        "dest": declared.key,
        "default": argparse.SUPPRESS,
        "help": _help(declared),
    }
    if declared.kind is bool:
        group.add_argument(declared.flag, *also, action=argparse.BooleanOptionalAction, **common)
        return
    group.add_argument(
        declared.flag,
        *also,
        type=_reader(declared.kind),
        nargs="+" if declared.many else None,
        metavar=_metavar(declared),
        **common,
    )


def _metavar(declared: Option) -> str:
    """Return what stands for the value in the help: the choices, the unit, or the kind."""
    if declared.choices:
        return "{" + ",".join(declared.choices) + "}"
    kinds: dict[type, str] = {str: "TEXT", int: "N", float: "X", Path: "FILE"}
    return declared.unit.upper() or kinds.get(declared.kind, declared.kind.__name__.upper())


def _reader(kind: type) -> Any:
    """Read a number as a number; whether it fits is the configuration's to say."""
    if kind not in (int, float):
        return str

    def number(text: str) -> float | int:
        value = float(text)
        return int(value) if kind is int and value.is_integer() else value

    return number


def _help(declared: Option) -> str:
    parts = [declared.help]
    unit = f" {declared.unit}" if declared.unit else ""
    if math.isfinite(declared.low) and math.isfinite(declared.high):
        parts.append(f"{declared.low:.10g} to {declared.high:.10g}{unit}")
    default = declared.default
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    if declared.kind is bool:
        parts.append("on by default" if default else "off by default")
    elif default not in (None, ""):
        parts.append(f"default {default}{unit}")
    return "; ".join(parts).replace("%", "%%")
