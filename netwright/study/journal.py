"""Where a log is kept: an Optuna journal file that survives kills, or a database by URL."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage, get_storage
from optuna.storages.journal import BaseJournalBackend

from netwright.errors import UserError

from .locks import FileLocks

_DRIVERS = {"postgresql": "psycopg2-binary", "mysql": "pymysql"}


class Journal(BaseJournalBackend):
    """Optuna's journal file, line for line.

    Beside Optuna's own backend: its lock goes with the process (there, the next one waits 30 s for the lock of one
    that was killed); half a line, which a kill left at the end, is cut off before the next is written (there, it makes
    the file unreadable); and lines written `together` are one write and one fsync.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks = FileLocks(Path(f"{path}.locks"))
        self._read = (0, 0)  # lines, and the bytes they take
        self._held: list[bytes] | None = None
        self._waits = True
        if not path.exists():
            path.touch()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Whole lines from that number on. Raises ValueError for one that is no JSON object."""
        number, place = self._read if log_number_from == self._read[0] else (0, 0)
        with open(self._path, "rb") as file:
            file.seek(place)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                number, place = number + 1, place + len(line)
                if number <= log_number_from:
                    continue
                try:
                    log = json.loads(line)
                    log["op_code"]
                except (ValueError, KeyError, TypeError):
                    raise ValueError(f"line {number} is not of a study's journal") from None
                self._read = number, place
                yield log

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """On the disk when this returns, but for those written `together` or `unhurried`."""
        lines = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        if self._held is not None:
            self._held.append(lines)
        else:
            self._append(lines)

    def size(self) -> int:
        """Of the file, in bytes."""
        return self._path.stat().st_size

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is appended meanwhile is written at the end, at once."""
        self._held = []
        try:
            yield
        finally:
            lines, self._held = b"".join(self._held), None
            if lines:
                self._append(lines)

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """What is appended meanwhile survives the end of any process; the end of the machine, once a later line is on
        the disk."""
        self._waits = False
        try:
            yield
        finally:
            self._waits = True

    def _append(self, lines: bytes) -> None:
        self._locks.take("append")
        try:
            with open(self._path, "r+b", buffering=0) as file:
                end = _whole(file)
                file.truncate(end)
                file.seek(end)
                if file.write(lines) != len(lines):
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
                if self._waits:
                    os.fsync(file.fileno())
        finally:
            self._locks.release("append")


def _whole(file: Any) -> int:
    """Bytes up to the end of the last whole line."""
    size = file.seek(0, os.SEEK_END)
    place = size
    while place:
        start = max(0, place - 4096)
        file.seek(start)
        found = file.read(place - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        place = start
    return 0


def open_storage(storage: str | Path) -> tuple[Any, Journal | None]:
    """An Optuna storage, and its journal where it is a file. UserError when it cannot be opened, or is damaged."""
    text = str(storage)
    if "://" in text:
        return _database(text), None
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = Journal(path)
        return JournalStorage(journal), journal
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise UserError(f"{path}: damaged study file: {str(error).splitlines()[0] if str(error) else 'no journal'}"
                        ) from None


def _database(url: str) -> Any:
    kind = url.split(":")[0].split("+")[0]
    try:
        return get_storage(url)
    except ImportError:
        driver = _DRIVERS.get(kind, "its driver")
        raise UserError(f"the storage {kind!r} needs a database driver: pip install {driver}") from None
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot open the storage {url.split('@')[-1]!r}: {reason}") from None


def driven(storage: str | Path) -> str:
    """A storage with the PostgreSQL driver that is installed, where the URL names none (which SQLAlchemy's default
    need not be)."""
    scheme, mark, rest = str(storage).partition("://")
    if mark and scheme in ("postgresql", "postgres"):
        there = next((name for name in ("psycopg2", "psycopg") if find_spec(name)), "psycopg2")
        return f"postgresql+{there}://{rest}"
    return str(storage)
