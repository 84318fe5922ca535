"""Hostile zips, tars and folders."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

from data_attack_files import PNG, Payload, refused, unreadable
from reader_sets import encoded, picture, write_folder, write_tar, write_zip


def _zip_with(path: Path, name: str, content: bytes = PNG, mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("cat/0.png", PNG)
        info = zipfile.ZipInfo(name)
        info.filename = info.orig_filename = name
        info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return path


@refused(r"grows [\d,]+ times when unpacked")
def zip_bomb(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/1.png", bytes(200_000_000))


@refused(r"unsafe name: '\.\./cat/1\.png'")
def zip_traversal(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "../cat/1.png")


@refused("unsafe name: '/etc/cat.png'")
def zip_absolute(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "/etc/cat.png")


@refused("unsafe name: 'C:/cat.png'")
def zip_drive(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "C:/cat.png")


@refused(r"unsafe name: 'cat\\\\1\.png'")
def zip_backslash(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat\\1.png")


@refused(r"unsafe name: 'cat/1\.png\\x00\.txt'")
def zip_nul(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png#.txt")
    path.write_bytes(path.read_bytes().replace(b"cat/1.png#.txt", b"cat/1.png\0.txt"))
    return path


@refused(r"unsafe name: 'cat/1\\n\.png'")
def zip_line_end(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/1\n.png")


@refused(r"unsafe name: 'cat/\\x1b\[2J\.png'")
def folder_control(tmp: Path) -> Path:
    return write_folder(tmp / "set", {"cat/0.png": PNG, "cat/\x1b[2J.png": PNG})


@refused(r"unsafe name: 'a\\\\b\.png'")
def folder_backslash(tmp: Path) -> Path:
    return write_folder(tmp / "set", {"cat/0.png": PNG, "a\\b.png": PNG})


@refused("is a symbolic link")
def zip_symlink(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/1.png", b"/etc/passwd", 0o120777)


@refused("differs only in upper and lower case")
def zip_case_collision(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "Cat/0.PNG")


@refused(r"holds 'cat/0\.png' twice")
def zip_duplicate(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    path.write_bytes(path.read_bytes().replace(b"cat/1.png", b"cat/0.png"))
    return path


@refused("holds another archive, cat/more.zip")
def zip_nested(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/more.zip")


@refused("is encrypted")
def zip_encrypted(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    data = bytearray(path.read_bytes())
    start = 0
    while (start := data.find(b"PK\x01\x02", start)) >= 0:
        data[start + 8] |= 1
        start += 4
    path.write_bytes(data)
    return path


@refused("unusual compression")
def zip_lzma(tmp: Path) -> Path:
    with zipfile.ZipFile(tmp / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cat/0.png", PNG)
    return tmp / "a.zip"


@refused("members that overlap")
def zip_overlap(tmp: Path) -> Path:
    """Two entries of the directory share one piece of data."""
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(data)
    return path


@refused("more than [0-9,]+ files")
def zip_huge_directory(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 0xF0000000)
    path.write_bytes(data)
    return path


@refused("its end is missing")
def zip_cut(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    path.write_bytes(path.read_bytes()[:-30])
    return path


def _tar_with(path: Path, **fields: object) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, changes in (("cat/0.png", {}), ("cat/1.png", fields)):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            for field, value in changes.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(PNG))
    return path


@refused(r"unsafe name: '\.\./\.\./cat\.png'")
def tar_traversal(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", name="../../cat.png")


@refused("unsafe name: '/tmp/cat.png'")
def tar_absolute(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", name="/tmp/cat.png")


@refused("'cat/1.png' in a.tar is a link")
def tar_symlink(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0)


@refused("'cat/1.png' in a.tar is a link")
def tar_hardlink(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", type=tarfile.LNKTYPE, linkname="../../etc/passwd", size=0)


@refused("not an ordinary file")
def tar_device(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", type=tarfile.CHRTYPE, size=0)


@refused("ends in the middle of cat/1.png|not a readable tar")
def tar_cut(tmp: Path) -> Path:
    path = _tar_with(tmp / "a.tar")
    path.write_bytes(path.read_bytes()[: 512 * 3 + 20])
    return path


@refused("times when unpacked")
def tar_bomb(tmp: Path) -> Path:
    return write_tar(tmp / "a.tar.gz", {"cat/0.png": bytes(60_000_000)}, "w:gz")


@refused(r"passwd\.png in .* is a link that leaves the folder")
def folder_symlink(tmp: Path) -> Path:
    folder = write_folder(tmp / "set", {"cat/0.png": PNG})
    (folder / "cat" / "passwd.png").symlink_to("/etc/passwd")
    return folder


@refused("There is no file or folder")
def webdataset_pipe(tmp: Path) -> Path:
    return Path(f"pipe:touch {tmp}/marker")


@refused("holds neither images nor texts")
def webdataset_payloads(tmp: Path) -> Path:
    payload = pickle.dumps(Payload(tmp))
    return write_tar(tmp / "a.tar", {"0.pyd": payload, "0.pth": payload, "0.pickle": payload, "0.cls": "1"})


def _lying_header(tmp: Path) -> Path:
    """The directory states a size smaller than what the data unpacks to."""
    path = write_zip(tmp / "a.zip", {"cat/0.png": bytes(5_000_000)})
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    return path


def _zip_bit_rot(tmp: Path) -> Path:
    """A pixel of a stored image differs from what the checksum says."""
    content = encoded(picture(0), "BMP")
    path = tmp / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/0.bmp", content)
    path.write_bytes(path.read_bytes().replace(content, content[:-1] + bytes([content[-1] ^ 1])))
    return path


unreadable("zip_lying_header", _lying_header, "is not what the archive states")
unreadable("zip_bit_rot", _zip_bit_rot, "is not what the archive states")


def many_entries(path: Path, count: int) -> Path:
    """Write a zip of `count` empty images fast."""
    names = [b"cat/%06d.png" % i for i in range(count)]
    local = struct.Struct("<4sHHHHHIIIHH")
    central = struct.Struct("<4sHHHHHHIIIHHHHHII")
    body = b"".join(local.pack(b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name for name in names)
    step = local.size + len(names[0])
    directory = b"".join(
        central.pack(b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, i * step) + name
        for i, name in enumerate(names)
    )
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0xFFFFFFFF, 0)
    path.write_bytes(body + directory + end64 + locator + end)
    return path
