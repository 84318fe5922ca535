"""Export: the decisions as a table, the fixed data set, and formats of other tools."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from oga_app import state
from oga_app.background.progress import describe
from oga_app.elements import hints, messages
from oga_app.elements.thumbnails import thumbnails
from oga_app.views import header
from oga_app.views.header import Opened
from oga_app.views.selection import applying
from oga_app.views.selection.filter_bar import filter_bar
from oga_core.errors import OgaError
from oga_core.files import scratch_folder

_MAX_DOWNLOAD = 500 << 20
_NOT_REVIEWED = {"suggestions": "_suggestions_not_reviewed", "trim": "_trimmed_not_reviewed"}
"""In the name of a file whose format has no other place to say so."""
_FORMATS = {
    "csv": "Table as CSV",
    "parquet": "Table as Parquet",
    "jsonl": "Table as JSON lines",
    "fixed": "Fixed data set, in the format it came in",
    "huggingface": "Hugging Face datasets folder",
    "weighted": "Rows with a weight each",
    "llama-factory": "LLaMA-Factory",
    "axolotl": "Axolotl",
    "label-studio": "Label Studio tasks",
    "fiftyone": "FiftyOne images and labels",
}


def show() -> None:
    """Draw the page."""
    view = header.opened()
    if view is None:
        return
    header.title("Export", view)
    filter_bar(view, lambda: None)
    applying.counts(view)
    left, right = st.columns(2, gap="large")
    with left:
        messages.guarded(_export)(view)
    with right:
        messages.guarded(_report)(view)


def _export(view: Opened) -> None:
    from oga_core.exports import EXPORTS

    hints.section("Export", "What to apply", "Data")
    applying.choice(view)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Format",
            sorted(
                (name for name, each in EXPORTS.items() if view.data.modality in each.modalities),
                key=lambda name: name != "fixed",
            ),
            format_func=lambda name: _FORMATS.get(name, name),
            key="export-format",
        )
        hints.hint("Export", "Formats")
    messages.quiet(EXPORTS[name].description)
    safe = st.checkbox(
        "Safe for spreadsheets", key="export-safe", help="Puts ' before cells that a spreadsheet would run"
    )
    _download(view, name, safe)
    typed = st.text_input("Or write it to this path on the machine", placeholder="/path/to/out", key="export-path")
    if st.button("Write", disabled=not typed.strip(), key="export-write"):
        messages.note(f"Written to {_written(view, name, view.session.settings.new_place(typed), safe)}")


def _download(view: Opened, name: str, safe: bool) -> None:
    """The button that makes the file, and in its place, once it is made, the one that takes it home."""
    place = st.empty()
    asked = name, safe, _state(view)
    ready = state.memory("download", (None, None))
    now = state.memory("export-now", False)
    state.remember("export-now", False)
    if ready[0] != asked and (now or place.button("Prepare a download", type="primary", key="export-make")):
        ready = asked, _bytes(view, name, safe)
        state.remember("download", ready)
    if ready[0] == asked:
        filename, content = ready[1]
        place.download_button(
            "Download", content, filename, type="primary", on_click="ignore", icon=":material/download:",
            key="export-download",
        )  # fmt: skip
        messages.quiet(f"{filename}, {len(content):,} bytes")


def _written(view: Opened, name: str, path: Path, safe: bool) -> Path:
    """Write an export and show how far it is; it ends with the page that asked for it."""
    from oga_core.exports import export

    view.session.settings.require_jail()
    bar = st.progress(0.0, "Starting")

    def show(event: dict[str, Any]) -> None:
        bar.progress(event.get("done", 0) / max(1, event.get("total", 1)), describe(event).capitalize())

    arguments = applying.arguments(view)
    try:
        return export(view.data.run, name, path, spreadsheet_safe=safe, replace=False, progress=show, **arguments)
    finally:
        bar.empty()


def _bytes(view: Opened, name: str, safe: bool) -> tuple[str, bytes]:
    import shutil

    mark = _NOT_REVIEWED.get(applying.arguments(view)["apply"], "")
    with scratch_folder("oga-download") as folder:
        written = _written(view, name, folder / f"{_slug(view.data.name)}_{name}{mark}", safe)
        if written.is_dir():
            written = Path(shutil.make_archive(str(written), "zip", written))
        if written.stat().st_size > _MAX_DOWNLOAD:
            raise OgaError("This export is larger than 500 MB. Write it to a path on this machine instead.")
        return written.name, written.read_bytes()


def _state(view: Opened) -> tuple[object, ...]:
    filters = view.session.filters.to_json()
    apply = applying.arguments(view)["apply"]
    return view.data.name, view.board.version, view.score, view.flagged, filters, apply


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)[:60]


def _report(view: Opened) -> None:
    hints.section(
        "Export", "Report", about="One HTML file for a colleague: what was scored, how, the decisions, and examples."
    )
    from oga_core.exports.report import write_report

    if st.button("Prepare the report", key="report-make"):
        with scratch_folder("oga-download") as folder, st.spinner("Writing"):
            previews = partial(thumbnails, view.data, wait=True)
            arguments = applying.arguments(view)
            del arguments["ids"]
            path = write_report(view.data.run, folder / "report.html", previews=previews, **arguments)
            state.remember("report", (_state(view), path.read_bytes()))
    ready = state.memory("report", None)
    if ready and ready[0] == _state(view):
        name = f"{_slug(view.data.name)}_report.html"
        st.download_button("Download the report", ready[1], name, "text/html", on_click="ignore", key="report-download")
