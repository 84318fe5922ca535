"""Where data lie that are not on this machine: s3://, gs://, hf://, https:// and what else fsspec knows."""

from __future__ import annotations

import re
from typing import Any

from oga_core.errors import OgaError

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_SECRETS = re.compile(r"(?<=://)[^/@]*@|[?#].*$")
"""A name and password before the host, and what follows the path, in which signed addresses carry their key."""


def is_address(text: object) -> bool:
    """Whether it names data elsewhere, and is no path on this machine."""
    return isinstance(text, str) and _SCHEME.match(text) is not None


def without_secrets(address: str) -> str:
    """Return the address as it may be written down and shown."""
    return _SECRETS.sub("", address)


def opened(address: str) -> tuple[Any, str]:
    """Return fsspec's file system and the path in it. Raises `OgaError` that says what to install or to mend."""
    try:
        import fsspec
    except ImportError:
        raise OgaError(
            f"{without_secrets(address)} is read with fsspec, which is not installed. Install it: pip install "
            "'oga[remote]'. Or copy the data to this machine and give their path."
        ) from None
    scheme = address.split("://")[0].lower()
    if "::" in address:
        raise OgaError(f"{without_secrets(address)} chains addresses with '::'. Give the address of the data alone.")
    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise OgaError(
            f"{scheme}:// needs a package that is not installed. {error}. Then run the same again."
        ) from None
    except ValueError as error:
        raise OgaError(
            f"{without_secrets(address)} cannot be opened: {error}. Give a path, or an address that begins with s3://, "
            "gs://, hf://, https:// or another one that fsspec knows."
        ) from None
