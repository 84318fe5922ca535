"""Files that are written whole or not at all, and names that stay inside the folder that they are put in."""

from __future__ import annotations

import errno
import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from oga_core.errors import OgaError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def leaves_folder(name: str) -> bool:
    """Whether a name taken as a path leads out of the folder that it is put in, on any system, or is no name at all.

    A control character hides the rest of a name from a person, and a NUL from the system.
    """
    parts = name.replace("\\", "/").split("/")
    has_drive = name[1:2] == ":" and name[2:3] in ("/", "\\")
    is_text = not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    return ".." in parts or (parts[0] == "" and len(parts) > 1) or has_drive or not is_text


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: to a temporary file in the same folder, then renamed.

    Raises `OgaError` where the folder cannot be written; what goes wrong with files elsewhere that `write` reads is
    raised as it is.
    """
    folder = path.parent
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    except OSError as error:
        raise unwritable(folder, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (is_full(error) or _is_in(folder, error)):
            raise unwritable(folder, error) from error
        raise


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
