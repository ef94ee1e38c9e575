"""Files of bytes in the cache folder, bounded: whoever writes makes room by removing what was read longest ago.

Several processes share a store. A file is there whole or not at all, carries a checksum, and is missed rather than
trusted where it is damaged. Whatever goes wrong with the disk costs time, never the result.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

import filelock

LOCK, TOTAL = ".lock", ".total"
LOCK_SECONDS = 10.0  # who cannot have the lock for so long does without writing
ROOM = 0.9  # of the bound: down to it files are removed, so that it need not be done at every writing
CHECKSUM_BYTES = 4
Files = list[tuple[int, int, Path]]  # time of the last reading, size, path


class ByteStore:
    """Bytes by group and key below `folder`, `limit` bytes at most on disk, those of all groups and processes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def read(self, group: str, key: str) -> bytes | None:
        """What was written, or None: never written, removed since, or damaged. Counts as a use."""
        path = self.folder / group / key
        try:
            data = path.read_bytes()
        except OSError:
            return None
        content = data[CHECKSUM_BYTES:]
        if len(data) < CHECKSUM_BYTES or data[:CHECKSUM_BYTES] != _checksum(content):
            return None
        with contextlib.suppress(OSError):  # removed by another process just now, or not ours to touch
            os.utime(path)
        return content

    def write(self, group: str, contents: Mapping[str, bytes]) -> None:
        """Keep what fits below the bound; on a disk that is full or cannot be written nothing is kept."""
        fitting = {key: content for key, content in contents.items() if len(content) + CHECKSUM_BYTES <= self.limit}
        if not fitting:
            return
        with contextlib.suppress(OSError, filelock.Timeout):
            (self.folder / group).mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / LOCK, timeout=LOCK_SECONDS):
                for key, content in fitting.items():
                    self._place(self.folder / group / key, _checksum(content) + content)

    def _place(self, path: Path, data: bytes) -> None:
        """Write one file, the lock being held. The total is raised first: after a crash it is too large, at worst."""
        total = self._total()
        if total is None or total + len(data) > self.limit:
            total = self._make_room(len(data))
        self._say_total(total + len(data))
        path.parent.mkdir(exist_ok=True)  # making room may have removed it
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _total(self) -> int | None:
        try:
            return int((self.folder / TOTAL).read_text())
        except (OSError, ValueError):
            return None

    def _say_total(self, total: int) -> None:
        (self.folder / TOTAL).write_text(str(total))

    def _make_room(self, needed: int) -> int:
        """Remove files until `needed` bytes fit below the bound's share; the bytes that are left, counted anew."""
        found = self._files()
        total = sum(size for _, size, _ in found)
        target = max(0, min(int(ROOM * self.limit), self.limit - needed))
        for _, size, path in found:
            if total <= target:
                break
            path.unlink(missing_ok=True)
            total -= size
        for group in self.folder.iterdir():
            with contextlib.suppress(OSError):  # no folder, or one that holds something
                group.rmdir()
        return total

    def _files(self) -> Files:
        """All files, the one that was read longest ago first; half-written ones of killed processes are removed."""
        found: Files = []
        for group in os.scandir(self.folder):
            for entry in os.scandir(group.path) if group.is_dir(follow_symlinks=False) else ():
                if entry.name.startswith("."):  # nobody else writes while the lock is held
                    os.unlink(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    told = entry.stat(follow_symlinks=False)
                    found.append((told.st_mtime_ns, told.st_size, Path(entry.path)))
        return sorted(found)


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "big")


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk that `folder` lies on, or will lie on."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(place).free
