"""Reviewers' names and passwords, for a dashboard that others reach through the network."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.files import write_whole

MINIMUM_LENGTH = 10
# log2 of scrypt's n: 128 MiB of memory a guess (OWASP's first choice). Hashes of the former format, bare hexadecimal,
# have 2**14; they are made anew when their owner signs in.
_COST = 17
_FORMER_COST = 14
_BLOCK_SIZE = 8
_SALT_LENGTH = 16
_HASH_LENGTH = 64
_writing = threading.Lock()


class Accounts:
    """A JSON file of names and salted scrypt hashes; raises `OgaError` where it cannot be read."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._hashes = {str(name): _Hash.parse(value) for name, value in json.loads(path.read_bytes()).items()}
        except FileNotFoundError:
            raise OgaError(
                f"The accounts file {str(path)!r} does not exist. Make it with: oga account {path} NAME"
            ) from None
        except (ValueError, AttributeError, TypeError):
            raise OgaError(
                f"The accounts file {str(path)!r} is damaged. Make it anew with: oga account {path} NAME"
            ) from None

    def accepts(self, name: str, password: str) -> bool:
        """Whether the password is that of the account; an unknown name takes no less time than a wrong password."""
        stored = self._hashes.get(name)
        if stored is None or stored.cost != _COST:
            _Hash.of(password)
        return stored is not None and stored.fits(password)

    def sign_in(self, name: str, password: str) -> bool:
        """Whether the password is right; if it is, a hash of a former cost is replaced by one of today's."""
        if not self.accepts(name, password):
            return False
        if self._hashes[name].cost != _COST:
            _write(self.path, name, _Hash.of(password))
        return True

    def key(self, name: str) -> bytes | None:
        """What signs the cookies of an account: secret, and another after its password changed; None where unknown."""
        stored = self._hashes.get(name)
        return None if stored is None else hashlib.sha256(b"oga sign-in" + stored.salt + stored.value).digest()


class _Hash:
    """A salted scrypt hash; `cost` is log2 of n."""

    def __init__(self, cost: int, salt: bytes, value: bytes):
        self.cost = cost
        self.salt = salt
        self.value = value

    @classmethod
    def of(cls, password: str) -> _Hash:
        """Hash a password with a salt of its own."""
        salt = os.urandom(_SALT_LENGTH)
        return cls(_COST, salt, _scrypt(password, salt, _COST))

    @classmethod
    def parse(cls, text: str) -> _Hash:
        """Read `$scrypt$17$salt$hash`, or the former format; raises `ValueError`."""
        if not text.startswith("$"):
            content = bytes.fromhex(text)
            return cls(_FORMER_COST, content[:_SALT_LENGTH], content[_SALT_LENGTH:])
        _, kind, cost, salt, value = text.split("$")
        if kind != "scrypt" or int(cost) not in range(_FORMER_COST, _COST + 4):
            raise ValueError(f"unknown hash {kind}, {cost}")
        return cls(int(cost), bytes.fromhex(salt), bytes.fromhex(value))

    def __str__(self) -> str:
        return f"$scrypt${self.cost}${self.salt.hex()}${self.value.hex()}"

    def fits(self, password: str) -> bool:
        """Whether this is the hash of the password."""
        return hmac.compare_digest(_scrypt(password, self.salt, self.cost), self.value)


def set_password(path: Path, name: str, password: str) -> None:
    """Add an account or change its password; raises `OgaError` for an empty name or a short password."""
    if not name.strip():
        raise OgaError("The account has no name. Give the name that is written to its decisions.")
    if len(password) < MINIMUM_LENGTH:
        raise OgaError(f"The password has {len(password)} characters. Choose one of {MINIMUM_LENGTH} or more.")
    _write(path, name.strip(), _Hash.of(password))


def _write(path: Path, name: str, value: _Hash) -> None:
    with _writing:
        known = Accounts(path)._hashes if path.exists() else {}
        hashes = {key: str(known_hash) for key, known_hash in {**known, name: value}.items()}
        content = json.dumps(hashes, indent=1, ensure_ascii=False)
        write_whole(path, lambda temporary: _write_private(temporary, content))


def _write_private(path: Path, content: str) -> None:
    path.chmod(0o600)  # before there is anything to read in it
    path.write_text(content, encoding="utf-8")


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    # OpenSSL's own bound, 32 MiB, is below what the cost needs: 128 bytes · n · r, and a little.
    memory = 2 * 128 * _BLOCK_SIZE * 2**cost
    return hashlib.scrypt(
        password.encode(), salt=salt, n=2**cost, r=_BLOCK_SIZE, p=1, maxmem=memory, dklen=_HASH_LENGTH
    )
