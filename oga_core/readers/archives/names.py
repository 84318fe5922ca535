"""Names of files as paths: whether they stay inside the folder that they are put in, and which ones are one."""

from __future__ import annotations

import unicodedata


def leaves_folder(name: str) -> bool:
    """Whether a name taken as a path leads out of the folder that it is put in, on any system, or is no name at all.

    A control character hides the rest of a name from a person, and a NUL from the system.
    """
    parts = name.replace("\\", "/").split("/")
    has_drive = name[1:2] == ":" and name[2:3] in ("/", "\\")
    is_text = not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    return ".." in parts or (parts[0] == "" and len(parts) > 1) or has_drive or not is_text


def folded(name: str) -> str:
    """Return what is equal for names that some file system takes for one: upper and lower case, composed letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
