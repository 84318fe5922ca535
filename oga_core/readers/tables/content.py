"""Text files as bytes by offset, as lines, and as rows that are parsed when asked for."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError, UnreadableSample

MAX_LINE_BYTES = 16_000_000  # a row of any real table is shorter; one that is not would fill the memory


class Content:
    """The bytes of a file or of an archive's member, by offset; thread-safe."""

    def __init__(self, source: Path | bytes):
        self._source = source
        self._lock = threading.Lock()
        self._file = self._open()

    def _open(self) -> io.BufferedReader | io.BytesIO:
        return io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source.open("rb")

    def __getitem__(self, span: slice) -> bytes:
        with self._lock:
            self._file.seek(span.start)
            return self._file.read(span.stop - span.start)

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Yield (byte offset, line with its end); refuses lines longer than any row should be."""
        offset = 0
        with self._open() as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise OgaError(
                        f"{name} has a line of more than {MAX_LINE_BYTES:,} bytes. Check that it has one row a line."
                    )
                yield offset, line
                offset += len(line)


class LazyRows(Sequence[Any]):
    """Rows parsed from their bytes when asked for; raises `UnreadableSample` where the file has changed since.

    spans: `(n_rows, 2)` byte offsets. is_plain: whether the text of a row stands in its bytes as it is, quotes apart.
    """

    def __init__(
        self, content: Content, spans: NDArray[np.int64], parse: Callable[[bytes], Any], *, is_plain: bool = False
    ):
        self._content = content
        self.spans = spans
        self._parse = parse
        self._is_plain = is_plain

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, i: Any) -> Any:
        start, stop = self.spans[i].tolist()
        try:
            return self._parse(self._content[start:stop])
        except (ValueError, csv.Error, StopIteration, RecursionError):
            raise UnreadableSample("the file has changed since it was opened") from None

    def may_hold(self, text: str, rows: range) -> Sequence[int]:
        """Those of consecutive rows that may hold a text, whatever its case: the others need not be parsed."""
        spans = self.spans[rows.start : rows.stop]
        rises = bool((np.diff(spans.ravel()) >= 0).all())
        if not (self._is_plain and text.isascii() and '"' not in text and text and len(spans) and rises):
            return rows
        begin = int(spans[0, 0])
        data = self._content[begin : int(spans[-1, 1])].lower()
        starts = spans[:, 0] - begin
        # Letters beyond ASCII may be those of the text in another case.
        strange = np.flatnonzero(np.frombuffer(data, np.uint8) > 127) if not data.isascii() else np.zeros(0, np.int64)
        found = set((np.searchsorted(starts, strange, side="right") - 1).tolist())
        place = data.find(wanted := text.lower().encode())
        while place >= 0:
            row = int(np.searchsorted(starts, place, side="right")) - 1
            found.add(row)  # also where it lies behind the row, in one that is no sample
            place = data.find(wanted, int(starts[row + 1])) if row + 1 < len(starts) else -1
        return [rows.start + row for row in sorted(found)]


class MappedRows(Sequence[Any]):
    """A lazy sequence: a function of each row."""

    def __init__(self, rows: Sequence[Any], function: Callable[[Any], Any]):
        self._rows = rows
        self._function = function

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        return self._function(self._rows[i])


def decode(data: bytes, name: str, line: int = 1) -> str:
    """Decode UTF-8 that begins on a line; raises `OgaError` with the number of the line that is at fault."""
    if line == 1 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise OgaError(f"{name} is in UTF-16. Save it as UTF-8 (in Excel: “CSV UTF-8”).")
    try:
        text = data.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        byte = data[error.start]
        raise OgaError(f"Line {at} of {name} is not UTF-8 (byte 0x{byte:02x}). Save the file as UTF-8.") from None
    if "\0" in text:
        at = line + text.count("\n", 0, text.index("\0"))
        raise OgaError(f"Line {at} of {name} holds a NUL character. Save it as plain UTF-8 text.")
    return text
