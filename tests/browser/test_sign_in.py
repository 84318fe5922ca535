"""Sign in, upload and sign out in real Chromium, under the guard's headers."""

import pytest
from app_runs import image_run
from app_server import Server
from conftest import settle, shot

from oga_app.server.accounts import set_password
from oga_app.server.uploads import FOLDER

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    image_run(folder)
    set_password(folder / "accounts.json", "Ada", "correct horse")
    started = Server(folder, "--accounts", str(folder / "accounts.json"))
    started.start()
    yield started
    started.kill()


def sign_in(page, password="correct horse"):
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_form_leads_to_the_page_asked_for_and_out_again(browser, shared, scheme, width):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    violations = []
    page.on("console", lambda message: violations.append(message.text) if "Content Security" in message.text else None)
    page.goto(f"{shared.url}/review?run=digits&flagged=9")
    sign_in(page, "a wrong one")
    page.get_by_text("The name or the password is wrong.").wait_for()
    shot(page, f"sign-in-{scheme}-{width}")
    sign_in(page)
    page.get_by_text("9 flagged (").wait_for(timeout=120_000)
    assert page.url == f"{shared.url}/review?run=digits&flagged=9"
    page.reload()
    page.get_by_text("9 flagged (").wait_for(timeout=120_000)
    page.get_by_role("button", name="Ada").click()
    page.get_by_text("Decisions are written as Ada.").wait_for()
    shot(page, f"signed-in-{scheme}-{width}")
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    page.goto(f"{shared.url}/review?run=digits")
    page.get_by_role("button", name="Sign in").wait_for()
    assert violations == []
    page.close()


def test_an_upload_lies_under_a_name_of_the_servers(browser, shared, tmp_path):
    (tmp_path / "data.csv").write_text("id,text,label\n" + "".join(f"{i},a,{i % 2}\n" for i in range(40)))
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(f"{shared.url}/run")
    sign_in(page)
    page.locator("h1.oga").wait_for(timeout=120_000)
    assert page.get_by_text("paths on this machine").count() == 0
    page.locator('input[type="file"]').first.set_input_files(tmp_path / "data.csv")
    settle(page)
    page.get_by_text("40 texts, 2 classes").wait_for(timeout=60_000)
    shot(page, "uploaded")
    [upload] = (shared.folder / FOLDER).glob("*/*/*")
    assert upload.read_text() == (tmp_path / "data.csv").read_text()
    page.close()
