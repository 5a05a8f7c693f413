"""Reading tables: parquet or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import MissingExtra, UserError


def read(path: Path, columns: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Columns of a parquet or CSV file as arrays (texts as objects, missing numbers as NaN).

    Raises UserError for a file that is missing, damaged or lacks a column.
    """
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("recorded tables (pyarrow)", "search") from None
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    wanted = list(columns) if columns is not None else None
    try:
        if path.suffix.lower() == ".csv":
            options = pyarrow.csv.ConvertOptions(include_columns=wanted)
            table = pyarrow.csv.read_csv(path, convert_options=options)
        else:
            table = pyarrow.parquet.read_table(path, columns=wanted, use_threads=False)
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path}: not readable as a table: {str(error).splitlines()[0]}") from None
    missing = [name for name in wanted or () if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; it has {', '.join(table.column_names[:12])}")
    return {name: _array(table.column(name)) for name in table.column_names}


def _array(column: Any) -> np.ndarray:
    found: np.ndarray = column.to_numpy(zero_copy_only=False)
    return found
