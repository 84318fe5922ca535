"""The same small data set written in every format that the readers know."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

N_SAMPLES = 24
CLASSES = ("cat", "dog", "NA")
LABELS = [CLASSES[i % 3] for i in range(N_SAMPLES)]
IDS = [f"{i:03d}" for i in range(N_SAMPLES)]
TEXTS = [f'line {i}, with "quotes",\nمرحبا 你好 🙂 = {i}' for i in range(N_SAMPLES)]


@dataclass(frozen=True)
class Case:
    """One written data set and what reading it must give."""

    path: Path
    ids: list[str]
    modality: str
    format: str
    labels: list[str] = field(default_factory=lambda: list(LABELS))
    options: dict[str, Any] = field(default_factory=dict)


def picture(i: int, size: tuple[int, int] = (8, 6)) -> Image.Image:
    """A picture that differs from sample to sample."""
    pixels = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Encode a picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_zip(path: Path, members: dict[str, bytes | str]) -> Path:
    """Write a zip of members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, members: dict[str, bytes | str]) -> Path:
    """Write the same members as files of a folder."""
    for name, content in members.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_tar(path: Path, members: dict[str, bytes | str], mode: str = "w") -> Path:
    """Write the same members as a tar."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def class_folder_members(prefix: str = "") -> dict[str, bytes | str]:
    """Images in class folders, with the litter of operating systems."""
    members: dict[str, bytes | str] = {
        f"{prefix}{label}/{i}.png": encoded(picture(int(i))) for label, i in zip(LABELS, IDS, strict=True)
    }
    return members | {f"{prefix}.DS_Store": b"x", f"__MACOSX/{prefix}cat/._000.png": b"x", f"{prefix}Thumbs.db": b"x"}


def csv_text(delimiter: str = ",") -> str:
    """Rows of id, text and label, quoted as a CSV has it."""
    rows = [delimiter.join(("id", "text", "label"))]
    for sample_id, text, label in zip(IDS, TEXTS, LABELS, strict=True):
        rows.append(delimiter.join((sample_id, '"' + text.replace('"', '""') + '"', label)))
    return "\r\n".join(rows) + "\r\n"


def features_csv(delimiter: str = ",") -> str:
    """Rows of two features and a class."""
    rows = [f"{i * 0.10:.2f}{delimiter}{'red' if i % 2 else ''}{delimiter}{LABELS[i]}" for i in range(N_SAMPLES)]
    return "\n".join([delimiter.join(("width", "colour", "class")), *rows])


def json_lines(rows: list[dict[str, Any]]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def text_rows() -> list[dict[str, Any]]:
    """Rows of id, text and label."""
    return [{"id": i, "text": t, "label": c, "extra": [1.0]} for i, t, c in zip(IDS, TEXTS, LABELS, strict=True)]


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """Write columns as Parquet, several row groups."""
    pq.write_table(pa.table(columns), path, row_group_size=7, **options)
    return path


def write_saved_dataset(folder: Path, table: pa.Table, features: dict[str, Any] | None = None) -> Path:
    """Write a table as Hugging Face's `save_to_disk` does."""
    folder.mkdir(parents=True)
    metadata = {"huggingface": json.dumps({"info": {"features": features or {}}})}
    table = table.replace_schema_metadata(metadata)
    half = len(table) // 2
    files = []
    for k, part in enumerate((table.slice(0, half), table.slice(half))):
        files.append({"filename": f"data-{k:05d}-of-00002.arrow"})
        with pa.OSFile(str(folder / files[-1]["filename"]), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
            out.write_table(part, max_chunksize=5)
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_fingerprint": "x"}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features or {}}))
    return folder


def image_table() -> pa.Table:
    """A table with encoded images and whole-number labels."""
    images = [{"bytes": encoded(picture(i)), "path": f"{i}.png"} for i in range(N_SAMPLES)]
    return pa.table({"image": images, "label": [i % 3 for i in range(N_SAMPLES)]})


CLASS_LABEL = {"image": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
ROW_IDS = [str(i) for i in range(N_SAMPLES)]
FOLDER_NAMES = [f"{label}/{i}.png" for label, i in zip(LABELS, IDS, strict=True)]


def _folder_order(prefix: str = "") -> tuple[list[str], list[str]]:
    """A folder is read in the order of its sorted names."""
    names = sorted(FOLDER_NAMES)
    return [prefix + name for name in names], [name.split("/")[0] for name in names]


def _class_zip(tmp: Path) -> Case:
    path = write_zip(tmp / "pets.zip", class_folder_members("pets/train/") | {"pets/val/cat/x.png": b"x"})
    return Case(path, [f"pets/train/{name}" for name in FOLDER_NAMES], "image", "image_folder")


def _class_folder(tmp: Path) -> Case:
    ids, labels = _folder_order()
    return Case(write_folder(tmp / "pets", class_folder_members()), ids, "image", "image_folder", labels)


def _class_tar(tmp: Path) -> Case:
    path = write_tar(tmp / "pets.tar.gz", class_folder_members(), "w:gz")
    return Case(path, FOLDER_NAMES, "image", "image_folder")


def _flat_images() -> dict[str, bytes | str]:
    return {f"images/{i}.png": encoded(picture(int(i))) for i in reversed(IDS)}


def _labels_csv(tmp: Path) -> Case:
    names = [f"images/{i}.png" for i in IDS]
    rows = [f"{name},{label}" for name, label in zip(names, LABELS, strict=True)]
    labels = tmp / "labels.csv"
    labels.write_text("\n".join(["file_name,label", *rows]))
    path = write_zip(tmp / "images.zip", _flat_images())
    return Case(path, names, "image", "images_with_table", options={"labels": labels})


def _metadata_inside(tmp: Path) -> Case:
    names = [f"{i}.png" for i in IDS]
    table = json_lines([{"file_name": n, "label": c} for n, c in zip(names, LABELS, strict=True)])
    path = write_folder(tmp / "set", {**_flat_images(), "images/metadata.jsonl": table})
    return Case(path, names, "image", "images_with_table")


def _csv(tmp: Path) -> Case:
    (tmp / "text.csv").write_bytes(b"\xef\xbb\xbf" + csv_text().encode())
    return Case(tmp / "text.csv", IDS, "text", "csv")


def _tsv(tmp: Path) -> Case:
    (tmp / "features.tsv").write_text(features_csv("\t"))
    return Case(tmp / "features.tsv", ROW_IDS, "tabular", "tsv")


def _semicolon(tmp: Path) -> Case:
    (tmp / "features.csv").write_text(features_csv(";"))
    return Case(tmp / "features.csv", ROW_IDS, "tabular", "semicolon")


def _jsonl(tmp: Path) -> Case:
    (tmp / "text.jsonl").write_text(json_lines(text_rows()))
    return Case(tmp / "text.jsonl", IDS, "text", "jsonl")


def _json(tmp: Path) -> Case:
    (tmp / "text.json").write_text(json.dumps(text_rows(), indent=1))
    return Case(tmp / "text.json", IDS, "text", "json")


def _parquet_text(tmp: Path) -> Case:
    path = write_parquet(tmp / "pairs.parquet", {"premise": TEXTS, "hypothesis": TEXTS, "idx": IDS, "label": LABELS})
    return Case(path, IDS, "text", "parquet")


def _parquet_tabular(tmp: Path) -> Case:
    columns = {"width": np.arange(N_SAMPLES) / 10, "colour": ["red"] * N_SAMPLES, "target": LABELS}
    return Case(write_parquet(tmp / "rows.parquet", columns), ROW_IDS, "tabular", "parquet")


def _prompts(tmp: Path) -> Case:
    rows = [{"id": i, "prompt": t, "completion": "ok", "group": c} for i, t, c in zip(IDS, TEXTS, LABELS, strict=True)]
    (tmp / "llm.jsonl").write_text(json_lines(rows))
    return Case(tmp / "llm.jsonl", IDS, "causal_lm", "jsonl", [])


def _chats(tmp: Path) -> Case:
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
    path = write_parquet(tmp / "chats.parquet", {"conversations": [turns] * N_SAMPLES})
    return Case(path, ROW_IDS, "causal_lm", "parquet", [])


def _npz_images(tmp: Path) -> Case:
    pixels = np.stack([np.asarray(picture(i)) for i in range(N_SAMPLES)])
    np.savez_compressed(
        tmp / "set.npz", X=pixels, y=np.arange(N_SAMPLES) % 3, classes=np.array(CLASSES), ids=np.array(IDS)
    )
    return Case(tmp / "set.npz", IDS, "image", "npz")


def _npy_features(tmp: Path) -> Case:
    np.save(tmp / "X.npy", np.arange(N_SAMPLES * 4, dtype=np.float32).reshape(-1, 4))
    np.save(tmp / "y.npy", np.array(LABELS))
    return Case(tmp / "X.npy", ROW_IDS, "tabular", "npy", options={"labels": tmp / "y.npy"})


def _outputs_npz(tmp: Path) -> Case:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), N_SAMPLES)
    features = np.ones((N_SAMPLES, 5), dtype=np.float16)
    np.savez(tmp / "out.npz", features=features, pred_probs=probabilities, label=LABELS, classes=np.array(CLASSES))
    return Case(tmp / "out.npz", ROW_IDS, "outputs", "outputs_npz")


def _outputs_parquet(tmp: Path) -> Case:
    columns = {"id": IDS, "features": [[float(i), 1.0] for i in range(N_SAMPLES)], "label": LABELS}
    path = write_parquet(tmp / "out.parquet", {**columns, "logits": [[0.0, 1.0, float(i)] for i in range(N_SAMPLES)]})
    return Case(path, IDS, "outputs", "outputs_parquet")


def _saved_dataset(tmp: Path) -> Case:
    folder = write_saved_dataset(tmp / "saved" / "train", image_table(), CLASS_LABEL).parent
    write_saved_dataset(folder / "test", image_table(), CLASS_LABEL)
    return Case(folder, ROW_IDS, "image", "arrow")


def _saved_zip(tmp: Path) -> Case:
    table = pa.table({"sentence": TEXTS, "labels": LABELS, "guid": IDS})
    folder = write_saved_dataset(tmp / "saved", table)
    members: dict[str, bytes | str] = {f"saved/{file.name}": file.read_bytes() for file in folder.iterdir()}
    return Case(write_zip(tmp / "saved.zip", members), IDS, "text", "arrow")


def _webdataset(tmp: Path) -> Case:
    members: dict[str, bytes | str] = {}
    for i, label in zip(IDS, LABELS, strict=True):
        members |= {f"a/{i}.png": encoded(picture(int(i))), f"a/{i}.cls": label, f"a/{i}.json": "{}"}
    return Case(write_tar(tmp / "shard.tar", members), [f"a/{i}" for i in IDS], "image", "webdataset")


def _webdataset_shards(tmp: Path) -> Case:
    folder = write_folder(tmp / "shards", {"stats.json": "{}"})
    for start in range(0, N_SAMPLES, 9):
        images = {f"{row}.png": encoded(picture(row)) for row in range(N_SAMPLES)[start : start + 9]}
        labels = {f"{start + i}.cls": label for i, label in enumerate(LABELS[start : start + 9])}
        write_tar(folder / f"part-{start // 9}.tar", images | labels)
    return Case(folder, [f"part-{i // 9}/{i}" for i in range(N_SAMPLES)], "image", "webdataset")


def _webdataset_text(tmp: Path) -> Case:
    texts: dict[str, bytes | str] = {f"{i}.txt": text for i, text in zip(IDS, TEXTS, strict=True)}
    labels = {f"{i}.cls": label for i, label in zip(IDS, LABELS, strict=True)}
    return Case(write_tar(tmp / "shard.tar", texts | labels), IDS, "text", "webdataset")


CASES: dict[str, Callable[[Path], Case]] = {
    name.removeprefix("_"): function
    for name, function in list(globals().items())
    if name.startswith("_") and getattr(function, "__annotations__", {}).get("return") == "Case"
}
