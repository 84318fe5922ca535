"""The zip container of a `.pt2` file, read without trusting anything that its directory says."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

from oga_core.errors import OgaError

MAX_ENTRIES = 100_000
MAX_JSON_BYTES = 64 * 2**20
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_CHUNK = 2**20

RESAVE = (
    "Save it again with a current torch (2.9 or newer): torch.export.save(torch.export.export(model.eval(), …), "
    "'model.pt2'), or in one call: oga_core.package_model(model, example, 'model.pt2', classes=[…])."
)


class Archive:
    """An opened `.pt2` archive: one root folder, entries stored without compression, none overlapping.

    Raises `OgaError` for any other container, naming what it looks like and how to make the right one.
    """

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error):
            raise OgaError(f"{self.name} is not a .pt2 archive, or its end is missing. {RESAVE}") from None
        except OSError as error:
            raise OgaError(f"Cannot read {self.name}: {error.strerror or error}.") from None
        try:
            self._entries = self._checked()
            self._check_format()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    @property
    def names(self) -> list[str]:
        """Names of all entries, without the root folder."""
        return list(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all entries together."""
        return sum(info.file_size for info in self._entries.values())

    def read(self, name: str, limit: int | None = None) -> bytearray:
        """Read one entry whole, its checksum verified. Raises `OgaError` if it is absent, damaged or above `limit`."""
        info = self._entries.get(name)
        if info is None:
            raise OgaError(f"{self.name} has no entry {name[:80]!r}; it is not a complete .pt2 file. {RESAVE}")
        if limit is not None and info.file_size > limit:
            raise OgaError(f"{name[:80]} in {self.name} has {info.file_size:,} bytes; at most {limit:,} are read.")
        data = bytearray(info.file_size)
        view = memoryview(data)
        try:
            with self._zip.open(info) as stream:
                for start in range(0, len(data), _CHUNK):
                    chunk = stream.read(min(_CHUNK, len(data) - start))
                    view[start : start + len(chunk)] = chunk
                stream.read(1)  # the checksum is verified at the end
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error):
            raise OgaError(f"{name[:80]} in {self.name} is damaged. Copy or download the file again.") from None
        return data

    def read_json(self, name: str) -> Any:
        """Parse one JSON entry of bounded size and depth."""
        try:
            return json.loads(bytes(self.read(name, MAX_JSON_BYTES)))
        except (ValueError, RecursionError) as error:
            reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)[:200]
            raise OgaError(f"{name[:80]} in {self.name} is not valid JSON: {reason}.") from None

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if not 1 <= len(infos) <= MAX_ENTRIES:
            raise OgaError(f"{self.name} has {len(infos):,} entries; a .pt2 file has 1 to {MAX_ENTRIES:,}.")
        if min(info.header_offset for info in infos) != 0:
            # what zipfile found is then a smaller archive inside this one
            raise OgaError(f"{self.name} is not a .pt2 archive, or its end is missing. {RESAVE}")
        roots = {info.filename.partition("/")[0] for info in infos}
        entries = {info.filename.partition("/")[2]: info for info in infos}
        if len(roots) != 1 or not entries.keys() & {"archive_format"}:
            raise OgaError(_foreign(self.name, {info.filename for info in infos}))
        if len({name.casefold() for name in entries}) != len(infos):
            raise OgaError(f"{self.name} holds two entries of the same name. {RESAVE}")
        for info in infos:
            self._check_entry(info)
        self._check_layout(infos)
        return entries

    def _check_entry(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 0x1:
            raise OgaError(f"{self.name} is encrypted. {RESAVE}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise OgaError(f"{self.name} is compressed, which torch.export.save never does. {RESAVE}")
        parts = info.filename.split("/")
        # zipfile cuts a name at a NUL; the original name tells whether there was one
        if info.filename != info.orig_filename or "\\" in info.filename or ".." in parts or not all(parts):
            raise OgaError(f"{self.name} holds an entry with the unsafe name {info.orig_filename[:80]!r}. {RESAVE}")

    def _check_layout(self, infos: list[zipfile.ZipInfo]) -> None:
        end = 0
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            for info in sorted(infos, key=lambda info: info.header_offset):
                if info.header_offset < end:
                    raise OgaError(f"{self.name} has overlapping entries, which no program writes. {RESAVE}")
                file.seek(info.header_offset)
                header = file.read(_LOCAL_HEADER.size)
                if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
                    raise OgaError(f"{self.name} is damaged: {info.filename[:80]!r} is not where it should be.")
                _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
                end = info.header_offset + len(header) + name_length + extra_length + info.compress_size
        if end > size:
            raise OgaError(f"{self.name} is cut off. Copy or download the file again.")

    def _check_format(self) -> None:
        if self.read("archive_format", 64).strip() != b"pt2":
            raise OgaError(_foreign(self.name, set(self._entries)))
        if "byteorder" in self and self.read("byteorder", 64).strip() != b"little":
            raise OgaError(f"{self.name} was written on a big-endian machine, which is not supported.")


def _foreign(name: str, entries: set[str]) -> str:
    tails = {re.sub(r"^[^/]*/", "", entry) for entry in entries} | entries
    if tails & {"serialized_exported_program.json", "serialized_state_dict.pt", "serialized_state_dict.json"}:
        return f"{name} was saved by torch 2.7 or older, whose .pt2 files hold pickles that can run code. {RESAVE}"
    if "constants.pkl" in tails:
        return f"{name} is a TorchScript file, which can run code when it is read. {RESAVE}"
    if "data.pkl" in tails:
        return (
            f"{name} is a torch.save file, not a .pt2 file. If it holds a state_dict, name it .pt and choose its "
            f"architecture; if it holds the whole model: {RESAVE}"
        )
    return f"{name} is a zip file, but not one that torch.export.save wrote. {RESAVE}"
