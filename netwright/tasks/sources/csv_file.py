"""A .csv with a label column, also .csv.gz: rows as vectors, windows over time, or texts.

The first row names the columns; they are separated by commas, semicolons, tabs or bars, whichever the first row has
most. `label` is the class, `group` (if said) tells people or recordings apart, and every other column is a feature
and must hold a number in every row. Among numbers, text columns are refused rather than turned into indicators, because
whoever runs the network on a device would have to repeat that by hand. Where the first row holds a word and no number
beside label and group, the file is one of texts: the columns of a row, in the header's order with a space between, are
one text, which becomes numbers of words (`netwright.tasks.words`). A first column without a name is taken for row
numbers and left out. Blank rows are passed over. Row numbers in messages count the header as row 1, as a spreadsheet
does.

With `window` N, samples are float32 [channels, N]: N rows of one group in file order, the next one `stride` rows (N
unless said) later, labelled by the majority (a tie goes to the label that the file has first). Rows that do not fill
a window at a group's end are left out. Without a `group` the whole file is one. Held out are whole groups where there
are four or more; else of each class in each group the last 20 % in time, and training windows that overlap these are
left out.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import math
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from netwright.errors import UserError, nearest
from netwright.tasks.labels import whole_labels
from netwright.tasks.printable import clean, show
from netwright.tasks.room import check_room, limit_bytes
from netwright.tasks.sources import Options, Reading, Samples

_MEMORY_PER_BYTE = 8  # a feature costs at least two bytes of text and at most 8 + 4 of memory; labels are short strings
_LONGEST_CELL = 1 << 16
_MOST_SUGGESTED = 12  # columns that a message lists
_WORD = re.compile(r"[^\W\d_]{2}")
_ROW = 200  # bytes of memory that a row of texts takes beside its text
_MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")


@dataclass(frozen=True, eq=False)
class _Table:
    """Features float64 [rows, F], or texts object [rows], and for each row its label and group as written and its
    number in the file."""

    features: tuple[str, ...]
    values: np.ndarray
    text: bool
    labels: list[str]
    groups: list[str]
    rows: list[int]


class CsvFile:
    """See the module."""

    name = "csv"
    expects = "a .csv file (or .csv.gz) with a label column"
    built_in = False
    options = frozenset(("label", "window", "stride", "group"))

    def takes(self, path: Path) -> bool:
        """A file that ends in .csv or .tsv, or in these and .gz."""
        return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")) and path.is_file()

    def read(self, path: Path, test: Path | None, options: Options) -> Reading:
        """Raises UserError for columns that do not exist, cells that are no finite number, windows that do not fit."""
        if options.stride is not None and options.window is None:
            raise UserError("--stride says how far apart windows are, so it needs --window, the rows of one: say both")
        table = _table(path, options, None)
        if table.text and options.window is not None:
            raise UserError(f"--window is for rows of numbers over time, and {show(path)} holds texts: leave it out")
        train = _samples(table, options, path)
        held = None
        if test is not None:
            held = _samples(_table(test, options, table), options, test)
        kind = "text" if table.text else "vector" if options.window is None else "series"
        features = tuple(clean(name) for name in table.features)
        return Reading(kind, train, held, f"the test set given: {clean(test)}", features=features)


def _table(path: Path, options: Options, like: _Table | None) -> _Table:
    """`like`: the training set, whose columns are read in their order; None for all but label and group."""
    try:
        check_room(_needed(path), f"{show(path)}")
        with _opened(path) as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(",;\t|", key=first.count)
            csv.field_size_limit(_LONGEST_CELL)
            return _parse(path, csv.reader(lines, delimiter=delimiter), options, like)
    except UnicodeDecodeError:
        raise UserError(f"{show(path)}: not UTF-8 text: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{show(path)}: not a readable .csv ({clean(error)}): save it again") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserError(f"{show(path)}: not gzip, or cut short: pack it again") from None


def _opened(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _needed(path: Path) -> int:
    """Bytes of memory that the rows take at most; the file is read through, as far as there is room for."""
    needed = 0
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as lines:
        while needed <= limit_bytes() and (block := lines.read(1 << 20)):
            needed += _MEMORY_PER_BYTE * len(block) + _ROW * block.count(b"\n")
    return needed


def _parse(path: Path, reader: Iterator[list[str]], options: Options, like: _Table | None) -> _Table:
    header = [name.strip() for name in next(reader, [])]
    where = show(path)
    _check_header(where, header)
    label = _column(where, header, options.label, "--label")
    group = None if options.group is None else _column(where, header, options.group, "--group")
    if label == group:
        raise UserError(f"{where}: --label and --group are both {clean(header[label])!r}: name two columns")
    used = [i for i in range(len(header)) if i not in (label, group) and not (i == 0 and not header[0])]
    if like is not None:
        missing = [name for name in like.features if name not in header]
        if missing:
            raise UserError(f"{where}: the test set has no column {clean(missing[0])!r}, which training has: add it")
        used = [header.index(name) for name in like.features]
    if not used:
        raise UserError(f"{where}: there is no column beside label and group: nothing to learn from")
    text = None if like is None else like.text
    values, texts, labels, groups, rows = array("d"), [], [], [], []
    for number, cells in enumerate(reader, 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise UserError(f"{where}: row {number} has {len(cells)} cells and the header {len(header)}: mend the row")
        if text is None:
            text = _holds_text([cells[i].strip() for i in used])
        if text:
            texts.append(_text(where, [cells[i].strip() for i in used], number))
        else:
            values.extend(_numbers(where, header, cells, used, number))
        labels.append(cells[label].strip())
        groups.append(cells[group].strip() if group is not None else "")
        rows.append(number)
    if not rows:
        raise UserError(f"{where}: has no rows under its header: give at least two samples of each class")
    names = tuple(header[i] for i in used)
    found = np.array(texts, object) if text else np.frombuffer(values, np.float64).reshape(len(rows), len(used))
    return _Table(names, found, bool(text), labels, groups, rows)


def _holds_text(cells: list[str]) -> bool:
    """A word, and no number: "3,5", "12 %" and "inf" are numbers that are written otherwise."""
    words = (cell.lower() for cell in cells if not _is_number(cell) and cell.lower() not in _MISSING)
    worded = any(_WORD.search(word) and word.lstrip("+-") not in ("inf", "infinity") for word in words)
    return worded and not any(_is_number(cell) for cell in cells)


def _text(where: str, cells: list[str], number: int) -> str:
    found = " ".join(cell for cell in cells if cell)
    if not found:
        raise UserError(f"{where}: row {number} has no text: fill it in or remove the row")
    return found


def _numbers(where: str, header: list[str], cells: list[str], used: list[int], number: int) -> list[float]:
    try:
        numbers = [float(cells[i]) for i in used]
    except ValueError:
        numbers = [math.nan]
    if not math.isfinite(sum(numbers)):  # a sum of finite cells may overflow: the search below decides
        _refuse_row(where, header, cells, used, number)
    return numbers


def _check_header(where: str, header: list[str]) -> None:
    if not any(header):
        raise UserError(f"{where}: is empty: the first row must name the columns")
    if all(_is_number(name) for name in header):
        raise UserError(f"{where}: the first row holds numbers, not names of columns: add a row of names at the top")
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        raise UserError(f"{where}: two columns are named {clean(twice)!r}: rename one")


def _column(where: str, header: list[str], name: str | None, option: str) -> int:
    if name is None:
        listed = ", ".join(clean(column) for column in header[-_MOST_SUGGESTED:])
        raise UserError(f"{where}: which column is the class? say {option} COLUMN (there are: {listed})")
    if name not in header:
        likely = difflib.get_close_matches(name, [column for column in header if column], n=_MOST_SUGGESTED, cutoff=0.0)
        raise UserError(f"{where}: no column {clean(name)!r} for {option}{nearest(clean(name), map(clean, likely))}")
    return header.index(name)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _refuse_row(where: str, header: list[str], cells: list[str], used: list[int], number: int) -> None:
    """Raises UserError for the first cell of the row that is no finite float32 number, if there is one."""
    for i in used:
        cell, here = cells[i].strip(), f"{where}: row {number}, column {clean(header[i])!r}"
        if cell.lower() in _MISSING:
            shown = f" ({clean(cell)})" if cell else ""
            raise UserError(f"{here}: the value is missing{shown}: fill it in or remove the row")
        try:
            value = float(cell)
        except ValueError:
            raise UserError(
                f"{here}: {clean(cell, 40)!r} is not a number: remove the column, or write it as numbers "
                "(a point for decimals; 0 or 1 for each possible value); to learn from texts, leave only text columns"
            ) from None
        if not math.isfinite(value):
            raise UserError(f"{here}: {clean(cell)} is not finite: mend it or remove the row")


def _samples(table: _Table, options: Options, path: Path) -> Samples:
    where = show(path)
    column = f"{where}: column {clean(options.label)!r}"
    labels = whole_labels(np.array(table.labels), column, lambda i: f"row {table.rows[i]}")
    values = table.values if table.text else _float32(table, where)
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(name, len(numbers)) for name in table.groups], np.int64)
    if options.window is None:
        if options.group is None:
            return Samples(values, labels)
        order = np.argsort(group, kind="stable")
        return Samples(values[order], labels[order], group[order], np.arange(len(order)))
    return _windows(values, labels, group, options.window, options.stride or options.window, where)


def _float32(table: _Table, where: str) -> np.ndarray:
    large = np.argwhere(np.abs(table.values) > np.finfo(np.float32).max)
    if len(large):
        row, name = table.rows[large[0][0]], clean(table.features[large[0][1]])
        raise UserError(f"{where}: row {row}, column {name!r}: the value is too large for float32: use a smaller unit")
    return table.values.astype(np.float32)


def _windows(
    values: np.ndarray, labels: np.ndarray, group: np.ndarray, window: int, stride: int, where: str
) -> Samples:
    """x [n, C, window]; start counts rows with the groups laid end to end."""
    order = np.argsort(group, kind="stable")
    values, labels, sizes = values[order], labels[order], np.bincount(group)
    ends = np.cumsum(sizes)
    if sizes.max() < window:
        raise UserError(f"{where}: no group has {window} rows, the longest has {sizes.max()}: make --window smaller")
    starts = np.concatenate([np.arange(end - size, end - window + 1, stride) for end, size in zip(ends, sizes)])
    check_room(4 * len(starts) * window * values.shape[1], f"{where}: {len(starts):,} windows of {window} rows")
    rows = starts[:, None] + np.arange(window)  # [n, window]
    x = np.ascontiguousarray(values[rows].transpose(0, 2, 1))
    found, first, code = np.unique(labels, return_index=True, return_inverse=True)
    by_appearance = np.argsort(first)
    votes = np.stack([(code[rows] == c).sum(1) for c in by_appearance])  # [classes in order of appearance, n]
    majority = found[by_appearance[votes.argmax(0)]]
    return Samples(x, majority, group[order][starts], starts)


source = CsvFile()
