"""What a run keeps beside its record: JSON objects that pages and reports read, and that may be damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError


def read_object(path: Path, advice: str) -> dict[str, Any] | None:
    """Return the JSON object in a file, None where there is no file.

    Raises `OgaError` with `advice`, a sentence, where it is anything else.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OgaError(f"{path} is damaged. {advice}")
    return content
