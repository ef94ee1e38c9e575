"""Files in a folder that belongs to somebody who may be hostile: nothing is followed, nothing outside is touched."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
MOST_ENTRIES = 200_000


def put(root: Path, name: str, content: str | bytes, uid: int, mode: int = 0o644) -> None:
    """Write a whole file below `root`, as `uid`'s if this is root's process. What is in its way is removed, links too.

    Whatever a hostile owner makes of the folder meanwhile, the file ends up below `root`.
    """
    *parents, last = Path(name).parts
    data = content.encode() if isinstance(content, str) else content
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parents:
            inner = _entered(part, handle, uid)
            os.close(handle)
            handle = inner
        temporary = f".{last}.{secrets.token_hex(4)}"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=handle)
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
            os.fchmod(file, mode)
            _give(file, uid)
        with contextlib.suppress(IsADirectoryError, NotADirectoryError, FileNotFoundError):
            os.replace(temporary, last, src_dir_fd=handle, dst_dir_fd=handle)
            return
        os.replace(last, f"{last}.aside-{secrets.token_hex(4)}", src_dir_fd=handle, dst_dir_fd=handle)  # a folder
        os.replace(temporary, last, src_dir_fd=handle, dst_dir_fd=handle)
    finally:
        os.close(handle)


def make(folder: Path, uid: int) -> Path:
    """A folder of `uid`'s for itself alone, made if it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, FOLDER)
    try:
        _give(handle, uid)
    finally:
        os.close(handle)
    return folder


def adopt(root: Path, uid: int) -> None:
    """Make all below `root` `uid`'s, if this is root's process: an earlier session may have been another user's."""
    if os.getuid():
        return
    for _, folders, files, handle in os.fwalk(root, follow_symlinks=False):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                os.chown(name, uid, uid, dir_fd=handle, follow_symlinks=False)


def size(root: Path) -> int:
    """Bytes below `root`, links not followed; more entries than anybody needs count as very many bytes."""
    total = entries = 0
    waiting = [os.fspath(root)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as found:
            for entry in found:
                entries += 1
                if entries > MOST_ENTRIES:
                    return 2**62
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total


def _entered(part: str, handle: int, uid: int) -> int:
    """The folder of that name, opened; made anew where there is none, or something else."""
    with contextlib.suppress(OSError):
        return os.open(part, FOLDER, dir_fd=handle)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=handle)
    os.mkdir(part, 0o755, dir_fd=handle)
    made = os.open(part, FOLDER, dir_fd=handle)
    _give(made, uid)
    return made


def _give(handle: int, uid: int) -> None:
    if os.getuid() == 0 and uid:
        os.fchown(handle, uid, uid)
