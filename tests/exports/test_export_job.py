"""Exports read the data in the jailed worker; what it writes is looked at before it gets its place."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import export_jobs
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_runs import export_here, make_run
from language_rows import SHAPES, write_rows
from PIL import Image
from reader_sets import encoded, picture, write_zip

import oga_core.exports as exports
from oga_core.errors import OgaError
from oga_core.exports import EXPORTS, REPORT, decided, export
from oga_core.files import is_temporary
from oga_core.previews import reader
from oga_core.runs.folder import RunFolder
from oga_core.worker import supervisor
from oga_core.worker.limits import Cancelled

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc, landlock and seccomp are Linux's")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "data.csv").write_text("text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(40)))
    return make_run(tmp_path / "run", tmp_path / "data.csv")


@pytest.fixture
def images(tmp_path: Path) -> RunFolder:
    members: dict[str, bytes | str] = {f"{c}/{i}.png": encoded(picture(i)) for i, c in enumerate("abab")}
    return make_run(tmp_path / "images", write_zip(tmp_path / "a.zip", members))


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def attacked(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Let the worker, jailed as ever, run another job than the export."""
    monkeypatch.setitem(supervisor.JOBS, "export", f"export_jobs:{function}")

    def run_job(*words: object, readable: list[Path], **options: object) -> object:
        return supervisor.run_job(*words, readable=[*readable, Path(export_jobs.__file__)], **options)  # type: ignore

    monkeypatch.setattr(exports, "run_job", run_job)


@linux
def test_the_process_that_reads_is_jailed_and_not_this_one(run: RunFolder, tmp_path: Path) -> None:
    seen = []

    def look(event: dict[str, object]) -> None:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error, OSError):
                if "oga_core.worker.child" in child.cmdline():
                    status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
                    seen.append((event["stage"], "Seccomp:\t2" in status, "NoNewPrivs:\t1" in status))

    export(run, "csv", tmp_path / "out.csv", progress=look)
    assert ("reading the data", True, True) in seen
    assert all(
        has_filter and has_no_rights for _, has_filter, has_no_rights in seen
    )  # it may end before it is looked at


@pytest.mark.parametrize("format", [*(name for name in EXPORTS if "image" in EXPORTS[name].modalities), REPORT])
def test_every_format_is_written_by_the_worker(format: str, images: RunFolder, tmp_path: Path) -> None:
    before = entries(tmp_path)
    written = export(images, format, tmp_path / "out")
    assert written.exists()
    assert entries(tmp_path) - before == {written.name}


@pytest.mark.parametrize("format", ["fixed", "llama-factory", "axolotl", "weighted"])
def test_rows_for_fine_tuning_are_written_by_the_worker(format: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", write_rows(tmp_path, SHAPES["messages"][0], "jsonl"), modality="causal_lm")
    before = entries(tmp_path)
    written = export(run, format, tmp_path / "out")
    assert entries(tmp_path) - before == {written.name}


def test_the_process_that_asks_imports_no_reader(run: RunFolder, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from oga_core.exports import EXPORTS, REPORT, export\n"
        "from oga_core.previews.reader import content_of, look_at\n"
        "from oga_core.runs.folder import RunFolder\n"
        "run, out = RunFolder.open(sys.argv[1]), Path(sys.argv[2])\n"
        "for format in ('csv', 'fixed', REPORT):\n"
        "    export(run, format, out / f'x-{format}')\n"
        "assert content_of(Path(run.info.data.path)).columns == ('text', 'label')\n"
        "assert look_at(Path(run.info.data.path), {})['n_samples'] == 40\n"
        "print(*sys.modules)\n"
    )
    words = [sys.executable, "-c", program, str(run.path), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "oga_core.exports.report" in modules
    of_the_worker = ("oga_core.readers", "oga_core.exports.job", "oga_core.previews.job", "oga_core.previews.drawing")
    assert [name for name in modules if name.startswith(of_the_worker)] == []


def test_a_run_whose_record_is_replaced_meanwhile_is_exported(run: RunFolder, tmp_path: Path) -> None:
    def replace_record(event: dict[str, object]) -> None:
        if event["stage"] == "reading the data":
            run.update(map="umap")
            run.write_table(run.table)

    assert export(run, "csv", tmp_path / "out.csv", progress=replace_record).exists()


def test_data_that_grow_end_the_worker_and_cost_this_process_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 40 rows of 25 MB each, the same text, so that the file is small: a gigabyte in memory where all are gathered.
    texts = pa.array(["x" * 25_000_000]).take(pa.array([0] * 40))
    labels = pa.array(["a", "b"] * 20)
    pq.write_table(pa.table({"label": labels, "text": texts}), tmp_path / "bomb.parquet", compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 20
    (tmp_path / "small.csv").write_text("text,label\n" + "x,a\ny,b\n" * 20)
    run = make_run(tmp_path / "run", tmp_path / "small.csv")
    run.update(data={**vars(run.info.data), "path": str(tmp_path / "bomb.parquet")})
    monkeypatch.setattr(
        exports, "run_job", lambda *words, **options: supervisor.run_job(*words, memory_gb=0.5, **options)
    )
    before = psutil.Process().memory_info().rss
    most = [before]
    with pytest.raises(OgaError, match=r"takes more memory than is left|Out of memory while"):
        export(
            run, "parquet", tmp_path / "out", cancelled=lambda: bool(most.append(psutil.Process().memory_info().rss))
        )
    assert max(most) - before < 100 << 20
    assert not list(tmp_path.glob("*out*"))


def test_an_image_that_takes_too_much_costs_the_report_one_example(
    images: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MEMORY_GB", 0.15)  # less than the last image takes
    members: dict[str, bytes | str] = {f"{c}/{i}.png": encoded(picture(i)) for i, c in enumerate("abab")}
    members["b/3.png"] = flat_png(6_000, 6_000)
    path = write_zip(tmp_path / "a.zip", members)
    run = make_run(tmp_path / "run", path)
    before = psutil.Process().memory_info().rss
    page = export(run, REPORT, tmp_path / "report.html").read_text(encoding="utf-8")
    assert psutil.Process().memory_info().rss - before < 100 << 20
    assert page.count("<img") >= 3
    assert "decoding it takes more memory than is left" in page


def flat_png(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGBA", (width, height)).save(content, "PNG")
    return content.getvalue()


@linux
@pytest.mark.parametrize("name", export_jobs.ATTACKS)
def test_a_worker_that_was_taken_over_leaves_nothing(
    name: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    attacked(monkeypatch, "attack")
    with pytest.raises((OgaError, supervisor.WorkerFault), match=r"thrown away|PermissionError"):
        export(run, "csv", tmp_path / name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_cancelled_export_leaves_nothing(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attacked(monkeypatch, "hang")
    stages: list[str] = []
    before = entries(tmp_path)
    with pytest.raises(Cancelled):
        export(
            run,
            "csv",
            tmp_path / "out",
            progress=lambda event: stages.append(event["stage"]),
            cancelled=lambda: bool(stages),
        )
    assert entries(tmp_path) == before


@linux
def test_a_full_disk_is_named_by_the_folder_that_the_person_gave(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacked(monkeypatch, "fill_the_disk")
    before = entries(tmp_path)
    with pytest.raises(OgaError, match=rf"The folder {tmp_path} cannot be written: No space left"):
        export(run, "csv", tmp_path / "out")
    assert entries(tmp_path) == before


def test_progress_says_how_many_rows_are_written(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(decided, "_SAID_EVERY", 0.0)
    events: list[dict[str, object]] = []
    export_here(run, "csv", tmp_path / "out", progress=events.append)
    counted = [event["done"] for event in events if "done" in event]
    assert counted == list(range(len(counted)))
    assert len(counted) == 40
    assert {event.get("total", 40) for event in events} == {40}


def test_what_a_killed_export_left_goes_with_the_next(run: RunFolder, tmp_path: Path) -> None:
    left = tmp_path / ".out.csv.0123456789abcdef.part"
    left.mkdir()
    (left / "out.csv").write_text("half")
    export(run, "csv", tmp_path / "out.csv")
    assert not [path for path in tmp_path.iterdir() if is_temporary(path)]


def test_the_report_is_written_although_the_data_are_gone(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "data.csv").unlink()
    page = export(run, REPORT, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "There is no file or folder" in page
    assert "What was decided" in page
    with pytest.raises(OgaError, match="There is no file or folder"):
        export(run, "csv", tmp_path / "out")
    assert json.loads((run.path / "run.json").read_text())["default_score"] == "loss"
