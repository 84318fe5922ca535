"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import gettempdir

from oga_core.errors import OgaError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TEMPORARY = ".part"  # the ending of everything that is being written
_NAME_LETTERS = 40  # of the target's name in a temporary's: with four bytes a letter it stays below 255 bytes
_LONGEST_WRITING = 86_400.0  # seconds; where a writer can't hold its file, one this old is given up
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: to a temporary file in the same folder, then renamed.

    Raises `OgaError` where the folder cannot be written; what goes wrong with files elsewhere that `write` reads is
    raised as it is.
    """
    folder = path.parent
    temporary = _beside(path)
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the umask takes
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        with _held(temporary):
            write(temporary)
            os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (is_full(error) or _is_in(folder, error)):
            raise unwritable(folder, error) from error
        raise


@contextlib.contextmanager
def temporary_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """Give a new folder beside `path` that is gone in the end, or renamed to it by then.

    mode: less what the umask takes. One whose process was killed goes by `remove_leftovers`.
    """
    folder = _beside(path)
    unheld = folder.with_name(f"{folder.name}.new")  # a name that nobody takes for a leftover before it is held
    try:
        unheld.mkdir(mode)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    try:
        with _held(unheld):
            unheld.rename(folder)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(unheld, ignore_errors=True)


@contextlib.contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Give a new folder for this process only, among the system's temporary files; what killed ones left there goes."""
    place = Path(gettempdir())
    remove_leftovers(place, name)
    with temporary_folder(place / name, mode=0o700) as folder:
        yield folder.resolve()


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers left in a folder, of the target `name` only or of all and in its subfolders too.

    What a living process writes stays.
    """
    beginning = f".{glob.escape(name[:_NAME_LETTERS])}" if name else "**/."
    for path in folder.glob(f"{beginning}*{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            if is_leftover(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_temporary(path: Path) -> bool:
    """Whether the name is one of those that are given to what is being written."""
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY)


def is_leftover(path: Path) -> bool:
    """Whether a temporary's writer is gone. Raises `OSError` where that cannot be known."""
    if sys.platform == "win32":
        return time.time() - path.stat().st_mtime > _LONGEST_WRITING
    import fcntl

    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # others may put anything into /tmp
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Show others that this process lives: the system takes a lock off when it ends, however it ends."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks; there nothing is ever removed
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:_NAME_LETTERS]}.{secrets.token_hex(8)}{_TEMPORARY}")


def unwritable(folder: Path, error: OSError) -> OgaError:
    """Return the error that names the folder and why it cannot be written."""
    reason = "No space left on the device" if is_full(error) else error.strerror or str(error)
    advice = (
        "Free some space there, or give another folder" if is_full(error) else "Give a folder that you may write to"
    )
    return OgaError(f"The folder {folder} cannot be written: {reason}. {advice}.")


def disk_error(error: BaseException, folder: Path) -> OgaError | None:
    """Return what to tell a person about a full disk or a path that the system refuses; None for all other errors.

    folder: where the work writes; errors about a full disk seldom name a file.
    """
    if isinstance(error, OSError) and is_full(error):
        return unwritable(folder, error)
    if isinstance(error, OSError) and error.errno in _REFUSED and error.filename is not None:
        return OgaError(f"{error.filename} cannot be used: {error.strerror}. Change its permissions, or give another.")
    return None


def is_full(error: OSError) -> bool:
    """Tell that the disk, or this person's share of it, is full."""
    # NumPy reports what it could not write without a number: "512 requested and 0 written".
    return error.errno in _FULL or (error.errno is None and "requested and" in str(error))


def _is_in(folder: Path, error: OSError) -> bool:
    return error.filename is not None and Path(os.fsdecode(error.filename)).parent == folder


def full_path(path: Path | str) -> str:
    """Return the full path of what the person named.

    A linked file keeps its own name, since what it leads to, as in the hub's cache, may have one that tells no format.
    """
    path = Path(path)
    return str(path.resolve() if path.is_dir() else path.parent.resolve() / path.name)
