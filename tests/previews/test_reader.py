"""The dashboard reads nothing itself: a jailed process does, within limits, and comes back when it dies."""

import contextlib
import os
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from app_runs import image_run, text_run
from PIL import Image

from oga_core.errors import OgaError
from oga_core.previews import reader as reading
from oga_core.previews.drawing import preview
from oga_core.previews.reader import PreviewReader, content_of, look_at
from oga_core.readers import read_samples
from oga_core.readers.tables import open_text_table
from oga_core.worker import supervisor
from oga_core.worker.service import Service


@pytest.fixture(autouse=True)
def others(monkeypatch):
    """The reading processes that other tests have left to their pages."""
    monkeypatch.setitem(globals(), "OTHERS", {worker.pid for worker in workers()})


OTHERS: set[int] = set()


@pytest.fixture
def run(tmp_path):
    yield image_run(tmp_path, n=40)
    for worker in workers():
        gone(worker)


@pytest.fixture
def reader(run):
    made = PreviewReader(run)
    yield made
    made.close()


def workers():
    """The reading processes of this one."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "oga_core.worker.child" in child.cmdline() and child.pid not in OTHERS:
                found.append(child)
    return found


def gone(worker):
    """Wait until a process has ended."""
    deadline = time.monotonic() + 30
    while worker in workers():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_shown_is_what_the_data_holds(run, reader):
    rows = [5, 0, 5, 39]
    assert reader.previews(rows, 160) == [preview(run.samples, row, 160) for row in rows]
    assert len(workers()) == 1


def test_whoever_asks_is_told_that_the_data_are_being_opened(run, reader):
    assert not reader.settles(0)
    assert reader.settles(60)
    assert reader.settles(0)
    assert reader.previews([3], 160) == [preview(run.samples, 3, 160)]


def test_data_that_cannot_be_opened_are_not_waited_for(run, reader):
    Path(run.info.data.path).unlink()
    assert reader.settles(60)
    assert reader.settles(0)  # and is not begun again
    assert reader.previews([3], 160)[0].unreadable


def test_what_was_shown_is_kept_and_the_oldest_forgotten(reader, monkeypatch):
    monkeypatch.setattr(reading, "_CACHE_BYTES", reader.previews([0], 160)[0].size * 3)
    first = reader.previews([0, 1], 160)
    [worker] = workers()
    worker.suspend()
    assert reader.previews([0, 1], 160) == first
    worker.resume()
    reader.previews(list(range(10, 20)), 160)
    assert 1 <= len(reader._kept) < 6
    assert (19, 160) in reader._kept


def test_a_killed_reader_is_started_again(reader):
    first = reader.previews([0], 160)
    [worker] = workers()
    worker.kill()
    assert not reader.previews([1], 160)[0].unreadable
    assert reader.previews([0], 160) == first
    assert workers() != [worker]


def test_a_reader_that_hangs_is_ended_and_another_goes_on(reader):
    reader.previews([0], 160)
    reader._service._seconds = 1.0
    [worker] = workers()
    worker.suspend()
    assert not reader.previews([1], 160)[0].unreadable
    gone(worker)


@pytest.mark.parametrize("how", ["dies", "hangs", "lies"])
def test_a_sample_that_ends_the_reader_is_the_only_one_lost(run, monkeypatch, how):
    monkeypatch.setitem(supervisor.JOBS, "preview", f"preview_jobs:{how}_at_row_2")
    script = Path(__file__).with_name("preview_jobs.py")
    monkeypatch.setattr(
        reading, "Service", lambda *args, readable, **options: Service(*args, readable=[*readable, script], **options)
    )
    reader = PreviewReader(run)
    reader._service._seconds = 2.0
    shown = reader.previews([0, 1, 2, 3], 160)
    assert [bool(each.unreadable) for each in shown] == [False, False, True, False]
    assert reader.previews([2], 160)[0].unreadable == shown[2].unreadable
    reader.close()


def test_data_that_is_gone_is_named_without_a_process_for_every_draw(run, reader, tmp_path):
    (tmp_path / "digits.zip").rename(tmp_path / "moved.zip")
    assert "digits.zip" in reader.previews([0], 160)[0].unreadable
    begun = time.monotonic()
    for _ in range(20):
        assert "digits.zip" in reader.previews([0, 1], 160)[1].unreadable
    assert time.monotonic() - begun < reading._REFUSED_SECONDS
    assert workers() == []
    (tmp_path / "moved.zip").rename(tmp_path / "digits.zip")
    reader._refused = ("", 0.0)
    assert not reader.previews([0], 160)[0].unreadable


def test_a_closed_reader_leaves_no_process(reader):
    reader.previews([0], 160)
    [worker] = workers()
    reader.close()
    gone(worker)


def test_a_reader_sees_only_the_files_of_its_run(run, reader):
    reader.previews([0], 160)
    [worker] = workers()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")


def test_texts_arrive_as_they_are(tmp_path):
    run = text_run(tmp_path)
    reader = PreviewReader(run)
    assert reader.previews([3, 4], 160) == [preview(run.samples, row, 160) for row in (3, 4)]
    reader.close()


def test_columns_and_first_rows_are_read_in_a_worker(tmp_path):
    table = tmp_path / "data.csv"
    table.write_text("id,text,label\n1,<b>a</b>,x\n" + "".join(f"{i},b,y\n" for i in range(2, 32)) + "3,c\n")
    file = content_of(table)
    assert file.columns == ("id", "text", "label")
    assert file.recognised == {"label": "label", "id": "id", "text": "text"}
    seen = look_at(table, {})
    assert (seen["n_samples"], seen["n_classes"], seen["n_problems"]) == (31, 2, 1)
    assert seen["classes"] == [["x", 1], ["y", 30]]
    assert not seen["is_ordered"]
    assert (seen["samples"][0]["text"], seen["samples"][0]["label"]) == ("<b>a</b>", "x")
    assert len(seen["samples"]) == 8
    table.write_bytes(b"")
    assert content_of(table).columns == content_of(tmp_path).columns == ()
    assert "is empty" in content_of(table).problem
    with pytest.raises(OgaError, match="is empty"):
        look_at(table, {})


def test_a_header_of_100_000_columns_costs_no_more_than_its_length(tmp_path):
    seconds = []
    for n_columns in (25_000, 100_000):
        table = tmp_path / f"{n_columns}.csv"
        table.write_text(",".join(f"c{i}" for i in range(n_columns)) + "\n")
        begun = time.process_time()
        assert len(open_text_table(table, table.name).columns) == n_columns
        seconds.append(time.process_time() - begun)
    assert seconds[1] < 8 * seconds[0] + 0.5  # four times the columns; sixteen times as long where it is quadratic


def test_an_image_of_40_megapixels_is_shown_within_the_limit(tmp_path, monkeypatch):
    run = image_run(tmp_path, n=20)
    monkeypatch.setattr(reading, "_MEMORY_GB", 0.6)
    big = tmp_path / "big.tiff"
    Image.fromarray(np.zeros((5000, 8000), dtype=np.uint16)).save(big, compression="tiff_deflate")
    data = tmp_path / "digits.zip"
    with zipfile.ZipFile(data) as archive:
        names = archive.namelist()
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        for name in names:
            archive.write(big, name.replace(".png", ".tiff"))
    os.replace(tmp_path / "new.zip", data)
    samples = read_samples(data)
    run.update(data={"path": str(data), "options": {}, "fingerprint": samples.fingerprint, "format": ""})
    table = run.table.assign(sample_id=samples.ids)
    run.write_table(table)
    reader = PreviewReader(run)
    [shown] = reader.previews([0], 160)
    reader.close()
    assert shown.image, shown.unreadable


def test_a_reader_ends_with_the_dashboard(run):
    pid = os.fork()
    if pid == 0:
        made = PreviewReader(run)
        made.previews([0], 160)
        [worker] = workers()
        (run.path / "pid").write_text(str(worker.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    worker = int((run.path / "pid").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != "zombie" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie"


def test_samples_are_searched_by_what_they_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_SEARCHED_AT_ONCE", 7)
    run = text_run(tmp_path)
    reader = PreviewReader(run)
    texts = [str(run.samples.inputs[row]) for row in range(80)]
    assert reader.find("NUMBER 1").tolist() == ["number 1" in text for text in texts]
    assert np.flatnonzero(reader.find("فيلم")).tolist() == [4]
    assert not reader.find("no such word").any()
    reader.close()


def test_a_search_in_data_that_is_gone_says_so(run, reader):
    (run.path.parent / "digits.zip").unlink()
    with pytest.raises(OgaError, match=r"digits\.zip"):
        reader.find("a")
