"""Configuration of a study: frozen dataclasses, read from presets, TOML and options.

A configuration class has sections, each a frozen dataclass whose fields come from
:func:`option`. A value is known by its key, ``section.field``. Help, unit, range and choices
stand in the class and nowhere else: the command line, the configuration file and the error
texts all read them here.
"""

from __future__ import annotations

import dataclasses
import json
import numbers
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falx.core.errors import InputError, OptionError, check_option, check_range, nearest

__all__ = [
    "Option",
    "check_settings",
    "flag_of",
    "flatten",
    "inputs_of",
    "keys_of",
    "option",
    "options_of",
    "params_of",
    "read_toml",
    "resolve",
    "to_toml",
    "with_default",
]


_DECLARED = "falx"


@dataclass(frozen=True)
class _Shown:
    """What a field of a section carries: all of an option but its key, type and default."""

    help: str
    unit: str
    low: float
    high: float
    choices: tuple[str, ...]


def option(
    default: Any,
    *,
    help: str,  # noqa: A002 - the word of the command line
    unit: str = "",
    low: float = float("-inf"),
    high: float = float("inf"),
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a field of a configuration section.

    Parameters
    ----------
    default
        Used where nothing else is said.
    help
        One clause, shown by ``--help`` and in the written configuration.
    unit
        Shown in help and range errors.
    low, high
        Accepted range of a number.
    choices
        Accepted words; a ``Literal`` type gives them as well.
    """
    shown = _Shown(help, unit, low, high, choices)
    return dataclasses.field(default=default, metadata={_DECLARED: shown})


def with_default(settings: type[Any], name: str, default: Any, **shown: Any) -> Any:
    """Declare an inherited option again with another default, for a section that differs.

    Parameters
    ----------
    settings
        The class that declares the option.
    shown
        What else differs: `help`, `unit`, `low`, `high` or `choices`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Smoothing:
    ...     fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0)
    >>> @dataclass(frozen=True)
    ... class Rough(Smoothing):
    ...     fwhm_mm: float = with_default(Smoothing, "fwhm_mm", 3.0)
    >>> Rough().fwhm_mm
    3.0
    """
    (declared,) = (item for item in dataclasses.fields(settings) if item.name == name)
    changed = dataclasses.replace(declared.metadata[_DECLARED], **shown)
    return dataclasses.field(default=default, metadata={_DECLARED: changed})


@dataclass(frozen=True)
class Option:
    """One configuration value, as declared.

    Parameters
    ----------
    key
        ``section.field``.
    kind
        ``bool``, ``int``, ``float``, ``str`` or ``Path``; of each item where `many`.
    many
        The value is a tuple.
    nullable
        The value may be ``None``.
    """

    key: str
    kind: type
    default: Any
    many: bool
    nullable: bool
    help: str
    unit: str
    low: float
    high: float
    choices: tuple[str, ...]

    @property
    def flag(self) -> str:
        """Name on the command line.

        Examples
        --------
        >>> Option("pet.psf_fwhm_mm", float, 6.0, False, False, "", "mm", 0, 20, ()).flag
        '--pet-psf-fwhm-mm'
        """
        return flag_of(self.key)

    def check(self, value: Any) -> Any:
        """Return `value` in its type, or raise with what is accepted."""
        if value is None and self.nullable:
            return None
        if self.many:
            if not isinstance(value, list | tuple):
                raise self._wrong(value, "a list")
            return tuple(self._check_one(item) for item in value)
        return self._check_one(value)

    def _check_one(self, value: Any) -> Any:
        if self.kind is bool:
            if not isinstance(value, bool):
                raise self._wrong(value, "true or false")
            return value
        if self.kind in (int, float):
            return self._number(value)
        if self.kind is Path:
            if not isinstance(value, str | Path):
                raise self._wrong(value, "a path")
            return self._file(value)
        if not isinstance(value, str):
            raise self._wrong(value, "a text")
        return check_option(self.key, value, self.choices) if self.choices else value

    def _file(self, value: str | Path) -> Path:
        try:
            path = Path(value).expanduser().absolute()
            there = path.is_file()
        except (OSError, RuntimeError, ValueError):  # a name that no disk takes, a home of nobody
            there = False
        if not there:
            raise InputError(
                f"the file that {self.key} names does not exist", where=value,
                do="correct the path",
            )  # fmt: skip
        return path

    def _number(self, value: Any) -> float:
        whole = self.kind is int
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise self._wrong(value, "a whole number" if whole else "a number")
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond all that a float holds
            if self.high == float("inf"):
                raise self._wrong(value, "a whole number of at most 300 digits") from None
            number = float("inf")
        if whole and not isinstance(value, numbers.Integral) and not number.is_integer():
            raise self._wrong(value, "a whole number")
        check_range(self.key, number, self.low, self.high, unit=self.unit)
        return self.kind(value)  # type: ignore[no-any-return]

    def _wrong(self, value: Any, wanted: str) -> OptionError:
        return OptionError(f"{self.key} must be {wanted}", found=repr(value))


def flag_of(key: str) -> str:
    """Return the option of the command line that sets a key.

    Examples
    --------
    >>> flag_of("genes.ahba_folder")
    '--genes-ahba-folder'
    """
    return "--" + key.replace(".", "-").replace("_", "-")


def options_of(settings: type[Any]) -> dict[str, Option]:
    """Return every value of a configuration class by key, in order of declaration.

    A field that is an option itself has its own name as key, one whose type is a dataclass is
    a section: ``section.field``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Smoothing:
    ...     fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0)
    >>> options_of(Smoothing)["fwhm_mm"].flag
    '--fwhm-mm'
    """
    found: dict[str, Option] = {}
    for item, hint in _typed_fields(settings):
        if _DECLARED in item.metadata:
            found[item.name] = _option(item.name, item, hint)
        elif dataclasses.is_dataclass(hint):
            own = options_of(hint)  # type: ignore[arg-type]
            for name, declared in own.items():
                key = f"{item.name}.{name}"
                found[key] = dataclasses.replace(declared, key=key)
    return found


def _typed_fields(kind: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        yield item, hints[item.name]


def _option(key: str, item: dataclasses.Field[Any], hint: Any) -> Option:
    shown: _Shown = item.metadata[_DECLARED]
    nullable = many = False
    choices = shown.choices
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        nullable = type(None) in typing.get_args(hint)
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
    if typing.get_origin(hint) is tuple:
        many = True
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is typing.Literal:
        choices, hint = typing.get_args(hint), str
    return Option(
        key,
        hint,
        item.default,
        many,
        nullable,
        shown.help,
        shown.unit,
        shown.low,
        shown.high,
        choices,
    )


def keys_of(section: str, settings: type[Any]) -> dict[str, str]:
    """Return field to configuration key for every option of a settings class.

    A stage table takes the settings of its function with it: ``params=keys_of("pet", Pet)``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Smoothing:
    ...     fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0)
    >>> keys_of("pet", Smoothing)
    {'fwhm_mm': 'pet.fwhm_mm'}
    """
    names = [item.name for item in dataclasses.fields(settings) if _DECLARED in item.metadata]
    return {name: f"{section}.{name}" for name in names}


def inputs_of(section: str, settings: type[Any]) -> dict[str, str]:
    """Return the options of a settings class that name files, as optional inputs of a stage.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Knowledge:
    ...     network: Path | None = option(None, help="interactions")
    ...     score: int = option(132, help="least score")
    >>> inputs_of("genes", Knowledge), params_of("genes", Knowledge)
    ({'network': 'config.genes.network?'}, {'score': 'genes.score'})
    """
    return {
        name: f"config.{section}.{name}?"
        for name, declared in options_of(settings).items()
        if declared.kind is Path
    }


def params_of(section: str, settings: type[Any]) -> dict[str, str]:
    """Return :func:`keys_of` without the options that name files."""
    files = inputs_of(section, settings)
    return {name: key for name, key in keys_of(section, settings).items() if name not in files}


def check_settings(settings: Any) -> None:
    """Raise unless every option of a settings record has its type and lies in its range.

    Settings classes call it as they are made, so that a notebook hears the same sentences as
    the command line.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Smoothing:
    ...     fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0, high=20)
    ...     def __post_init__(self) -> None:
    ...         check_settings(self)
    >>> Smoothing(-1.0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    falx.core.errors.OptionError: fwhm_mm is out of range (found: -1.0 mm); give ... 0 to 20 mm.
    """
    for item, hint in _typed_fields(type(settings)):
        if _DECLARED in item.metadata:
            declared = _option(item.name, item, hint)
            object.__setattr__(settings, item.name, declared.check(getattr(settings, item.name)))


def resolve(configuration: type[Any], *layers: Mapping[str, object]) -> Any:
    """Build a configuration from its defaults and layers of values; the last layer wins.

    Parameters
    ----------
    layers
        Each maps keys (``"pet.psf_fwhm_mm"``) to values.

    Raises
    ------
    OptionError
        For an unknown key, naming the nearest, or a value of the wrong type or range.
    """
    known = options_of(configuration)
    values: dict[str, object] = {}
    for layer in layers:
        for key, value in layer.items():
            if key not in known:
                raise _unknown(key, list(known))
            values[key] = known[key].check(value)
    return _built(configuration, values)


def _built(kind: type[Any], values: Mapping[str, object]) -> Any:
    """Put values by key together; keys with a point belong to sections."""
    given = {key: value for key, value in values.items() if "." not in key}
    for section, hint in _typed_fields(kind):
        if _DECLARED not in section.metadata and dataclasses.is_dataclass(hint):
            prefix = f"{section.name}."
            own = {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
            given[section.name] = _built(hint, own)  # type: ignore[arg-type]
    return kind(**given)


def _unknown(key: str, known: list[str]) -> OptionError:
    near = nearest(key, known, cutoff=0.4)
    return OptionError(
        f"unknown configuration key {key!r}",
        do=f"did you mean {near!r}?" if near else f"the keys are {', '.join(known)}",
    )


def flatten(configuration: Any) -> dict[str, object]:
    """Return every value of a configuration by key."""
    return {
        f"{section.name}.{item.name}": getattr(getattr(configuration, section.name), item.name)
        for section in dataclasses.fields(configuration)
        for item in dataclasses.fields(getattr(configuration, section.name))
        if _DECLARED in item.metadata
    }


def read_toml(path: Path) -> dict[str, object]:
    """Read a configuration file into values by key; its tables are the sections."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "the configuration file cannot be read", where=path, found=error.strerror,
            do="correct the path",
        ) from None  # fmt: skip
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "the configuration file is not TOML", where=path, found=error,
            do="repair it there; configuration.toml of an output folder is an example",
        ) from None  # fmt: skip
    values: dict[str, object] = {}
    for section, items in content.items():
        if not isinstance(items, dict):
            raise OptionError(
                f"{section} stands outside any section",
                where=path.name,
                do=f"write it under a heading such as [pet], or as pet.{section} = …",
            )
        values |= {f"{section}.{name}": value for name, value in items.items()}
    return values


def to_toml(configuration: Any, *, heading: str = "") -> str:
    """Write a configuration with every default, help and unit; ``read_toml`` reads it back."""
    values = flatten(configuration)
    lines = [f"# {line}" for line in heading.splitlines()]
    section = ""
    for key, declared in options_of(type(configuration)).items():
        head, _, name = key.partition(".")
        if head != section:
            lines += ["", f"[{head}]"]
            section = head
        unit = f" [{declared.unit}]" if declared.unit else ""
        lines.append(f"# {declared.help}{unit}")
        value = values[key]
        lines.append(f"# {name} is not set" if value is None else f"{name} = {_toml(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # not TOML
