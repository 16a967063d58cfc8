"""Mapping files: which column of a file is of which sensor, written as JSON or YAML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flexmeasures.domain.time import is_timezone
from flexmeasures.services.file_beliefs import FileOrder, SensorColumn

__all__ = ["MappedFile", "read_mapping_file"]

_LARGEST = 1_000_000


@dataclass(frozen=True)
class MappedFile:
    """Rules for reading a file.

    Attributes:
        separator: Between cells of CSV; None: it is found.
        skipped: How many lines come before the values; None: the first one that has anything in it.
    """

    order: FileOrder
    separator: str | None = None
    skipped: int | None = None


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", populate_by_name=True, alias_generator=lambda name: name.replace("_", "-")
    )


class _Column(_Strict):
    """A column: the sensor alone, or with what differs."""

    sensor: Annotated[int, Field(gt=0, lt=2**31)]
    unit: str | None = None
    cumulative: bool = False
    production_positive: bool = False


class _Mapping(_Strict):
    """A mapping file."""

    columns: Annotated[dict[str, _Column | int], Field(min_length=1, max_length=1000)]
    time: str | int | None = None
    timezone: str | None = None
    decimal: str | None = None
    delimiter: str | None = None
    skiprows: Annotated[int, Field(ge=0, le=10_000)] | None = None
    month_first: bool = False
    na_values: list[str] | None = None


def read_mapping_file(path: Path) -> MappedFile:
    """Read a mapping file.

    Raises:
        click.BadParameter: If it is not one; names what is wrong in it.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise click.BadParameter(
                f"{path.name} is larger than 1 MB: it is not a mapping.", param_hint="--mapping"
            )
        read = _Mapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise click.BadParameter(
            f"{path.name} is neither JSON nor YAML: {error}", param_hint="--mapping"
        ) from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()[:5]
        )
        raise click.BadParameter(
            f'{path.name} is not a mapping: {faults}. Write {{"columns": {{"<name>": {{"sensor": <id>}}}}}}.',
            param_hint="--mapping",
        ) from None
    if read.timezone is not None and not is_timezone(read.timezone):
        raise click.BadParameter(f"{read.timezone!r} is not a time zone.", param_hint="--mapping")
    order = FileOrder(
        columns=tuple(_read_column(name, column) for name, column in read.columns.items()),
        time=read.time,
        zone=read.timezone,
        decimal_comma=None if read.decimal is None else read.decimal in (",", "comma"),
        month_first=read.month_first,
        empty=None if read.na_values is None else frozenset(read.na_values),
    )
    return MappedFile(order, read.delimiter, read.skiprows)


def _read_column(name: str, column: _Column | int) -> SensorColumn:
    if isinstance(column, int):
        return SensorColumn(name, column)
    return SensorColumn(name, column.sensor, column.unit, column.cumulative, column.production_positive)
