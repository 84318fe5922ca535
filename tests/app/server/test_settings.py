"""Which files a person at the dashboard may name, what an upload is called, and what a table offers."""

import io

import pytest
from app_runs import image_run

from oga_app.background import jobs
from oga_app.server.settings import Settings
from oga_core.errors import OgaError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return image_run(tmp_path_factory.mktemp("images"))


def test_settings_find_runs_and_confine_paths(run, tmp_path):
    folder = run.path.parent
    settings = Settings.parse(["--run", str(folder), "--data-root", str(tmp_path), "--something", "else"])
    assert settings.named("digits") == run.path
    assert Settings.parse(["--run", str(run.path)]).only == run.path
    with pytest.raises(OgaError, match=r"There is no run '\.\./digits'"):
        settings.named("../digits")
    (tmp_path / "inside.csv").touch()
    assert settings.confined("inside.csv") == (tmp_path / "inside.csv").resolve()
    for outside in ("/etc/passwd", "../x", str(folder)):
        with pytest.raises(OgaError, match="outside the data folder"):
            settings.confined(outside)
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(OgaError, match="outside the data folder"):
        settings.confined("link/passwd")
    with pytest.raises(OgaError, match="does not exist"):
        settings.confined("missing.csv")


def test_a_path_that_the_system_refuses_is_a_sentence(tmp_path):
    settings = Settings.parse(["--run", str(tmp_path), "--data-root", str(tmp_path)])
    for text in ("a\0b", "x" * 5000, "~nobody-at-all/x"):
        with pytest.raises(OgaError, match=r"cannot be used: .* Give another path\.|does not exist"):
            settings.confined(text)
        with pytest.raises(OgaError, match=r"cannot be used: .* Give another path\.|does not exist"):
            settings.new_place(f"{text}/out.csv")


def test_nobody_from_the_network_writes_what_counts_as_a_run(run, tmp_path):
    runs = run.path.parent
    (runs / "made-up").mkdir()
    (tmp_path / "accounts.json").touch()
    shared = ["--run", str(runs), "--data-root", str(runs.parent), "--accounts", str(tmp_path / "accounts.json")]
    for place in (runs / "new-run", runs / "made-up" / "run.json", run.path / "verify.json"):
        with pytest.raises(OgaError, match="is in the folder of the runs"):
            Settings.parse(shared).new_place(str(place))
        assert Settings.parse(shared[:4]).new_place(str(place)) == place.resolve()
    (runs / "made-up").rmdir()
    with pytest.raises(OgaError, match="outside the data folder"):
        Settings.parse(shared).new_place(str(runs.parent.parent / "x.csv"))
    assert Settings.parse(shared).new_place(str(runs.parent / "x.csv")) == (runs.parent / "x.csv").resolve()


@pytest.mark.parametrize(
    ("name", "saved_name"),
    [
        ("../../etc/evil name.tar.gz", "evil_name.tar.gz"),
        ("C:\\Users\\me\\data.CSV", "data.csv"),
        ("a.p\u0000t", "a_p_t"),
        ("model.v1.pt2", "model_v1.pt2"),
        ("..", "upload"),
        ("猫.zip", "upload.zip"),
        (".hidden", "upload.hidden"),
        ("x" * 300 + ".npz", "x" * 40 + ".npz"),
    ],
)
def test_uploads_never_name_a_path(tmp_path, name, saved_name):
    saved = jobs.save_upload(name, io.BytesIO(b"content"), tmp_path / "up")
    assert saved == tmp_path / "up" / saved_name
    assert saved.read_bytes() == b"content"
