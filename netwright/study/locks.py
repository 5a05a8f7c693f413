"""Locks between the workers of one study; whoever dies lets go of all of its own, with no time to wait out."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import IO, Any, Protocol

from netwright.errors import UserError

_PAUSE_S = 0.002  # between two tries for a lock where the system cannot wait for one


class Locks(Protocol):
    """Named locks. `take` waits for one; `held` is whether anybody holds it, this object included."""

    def take(self, name: str) -> None: ...
    def release(self, name: str) -> None: ...
    def held(self, name: str) -> bool: ...


class FileLocks:
    """Locked files in a folder: flock, which the system itself takes back when a process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}

    def take(self, name: str) -> None:
        if name not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files[name] = open(self._folder / name, "ab")  # noqa: SIM115 - a lock lasts as long as its file
        while not _lock(self._files[name].fileno(), wait=True):
            time.sleep(_PAUSE_S)

    def release(self, name: str) -> None:
        _unlock(self._files[name].fileno())

    def held(self, name: str) -> bool:
        try:
            with open(self._folder / name, "r+b") as file:
                if not _lock(file.fileno(), wait=False):
                    return True
                _unlock(file.fileno())
                return False
        except FileNotFoundError:
            return False

    def remove(self, name: str) -> None:
        """Let go of a lock that nobody will take again."""
        self._files.pop(name).close()
        (self._folder / name).unlink(missing_ok=True)


class ServerLocks:
    """Locks of a database session (PostgreSQL, MySQL): the server takes them back when its connection breaks."""

    def __init__(self, url: str, study: str) -> None:
        import sqlalchemy

        self._text = sqlalchemy.text
        self._study = study
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, isolation_level="AUTOCOMMIT")
        self._postgres = engine.dialect.name == "postgresql"
        self._session = engine.connect()

    def take(self, name: str) -> None:
        self._ask("SELECT pg_advisory_lock(:key)" if self._postgres else "SELECT GET_LOCK(:key, -1)", name)

    def release(self, name: str) -> None:
        self._ask("SELECT pg_advisory_unlock(:key)" if self._postgres else "SELECT RELEASE_LOCK(:key)", name)

    def held(self, name: str) -> bool:
        if not self._postgres:
            return not self._ask("SELECT IS_FREE_LOCK(:key)", name)
        key = self._key(name) % 2**64
        high, low = key >> 32, key % 2**32
        found = self._session.execute(
            self._text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                       "AND classid = :high AND objid = :low AND objsubid = 1"),
            {"high": high, "low": low},
        )  # fmt: skip
        return bool(found.scalar())

    def remove(self, name: str) -> None:
        self.release(name)

    def _ask(self, statement: str, name: str) -> Any:
        key = self._key(name)
        return self._session.execute(self._text(statement), {"key": key if self._postgres else f"{key:x}"}).scalar()

    def _key(self, name: str) -> int:
        digest = hashlib.blake2b(f"netwright/{self._study}/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)


def locks(storage: str | Path, study: str) -> FileLocks | ServerLocks:
    """The locks that belong to a storage: beside a file, in a server's session."""
    text = str(storage)
    if "://" not in text:
        return FileLocks(Path(f"{text}.locks"))
    import sqlalchemy

    url = sqlalchemy.make_url(text)
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise UserError("a study needs a file or a server; sqlite in memory is neither")
        return FileLocks(Path(f"{url.database}.locks"))
    return ServerLocks(text, study)


def _lock(descriptor: int, wait: bool) -> bool:
    """Whether the lock was obtained; without `wait`, or where waiting is not to be had, at once."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(descriptor, fcntl.LOCK_UN)
