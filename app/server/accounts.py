"""Reviewers' names and passwords, for a dashboard that others reach through the network."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.files import write_whole

MINIMUM_LENGTH = 10
# scrypt with 16 MiB of memory: about 50 ms a guess.
_COST = {"n": 2**14, "r": 8, "p": 1}


class Accounts:
    """A JSON file of names and salted scrypt hashes; raises `OgaError` where it cannot be read."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._hashes = {str(name): bytes.fromhex(value) for name, value in json.loads(path.read_bytes()).items()}
        except FileNotFoundError:
            raise OgaError(
                f"The accounts file {str(path)!r} does not exist. Make it with: oga account {path} NAME"
            ) from None
        except (ValueError, AttributeError, TypeError):
            raise OgaError(
                f"The accounts file {str(path)!r} is damaged. Make it anew with: oga account {path} NAME"
            ) from None

    def accepts(self, name: str, password: str) -> bool:
        """Whether the password is that of the account; an unknown name takes as long as a wrong password."""
        stored = self._hashes.get(name, bytes(16 + 64))
        return hmac.compare_digest(_hash(password, stored[:16]), stored) and name in self._hashes


def set_password(path: Path, name: str, password: str) -> None:
    """Add an account or change its password; raises `OgaError` for an empty name or a short password."""
    if not name.strip():
        raise OgaError("The account has no name. Give the name that is written to its decisions.")
    if len(password) < MINIMUM_LENGTH:
        raise OgaError(f"The password has {len(password)} characters. Choose one of {MINIMUM_LENGTH} or more.")
    known = {key: value.hex() for key, value in Accounts(path)._hashes.items()} if path.exists() else {}
    content = json.dumps({**known, name.strip(): _hash(password, os.urandom(16)).hex()}, indent=1, ensure_ascii=False)
    # The temporary file that is renamed into place is readable by its owner only.
    write_whole(path, lambda temporary: temporary.write_text(content, encoding="utf-8"))


def _hash(password: str, salt: bytes) -> bytes:
    return salt + hashlib.scrypt(password.encode(), salt=salt, **_COST)
