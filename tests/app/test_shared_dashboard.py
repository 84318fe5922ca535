"""Two accounts on one real server: what neither may do, whoever speaks the protocol."""

import json
import re
import uuid
from contextlib import closing

import psutil
import pytest
from app_runs import image_run
from app_server import Server, Visitor
from websockets.exceptions import InvalidStatus

from oga_app.server.accounts import set_password
from oga_core.review import ReviewStore

PASSWORDS = {"Ada": "correct horse", "Bob": "battery staple"}
QUERY = {"run": "digits", "flagged": "60"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def run(folder):
    return image_run(folder)


@pytest.fixture(scope="module")
def server(folder, run):
    for name, password in PASSWORDS.items():
        set_password(folder / "accounts.json", name, password)
    started = Server(folder, "--accounts", str(folder / "accounts.json"))
    started.start()
    yield started
    started.kill()


@pytest.fixture
def someone(server):
    visitor = Visitor(server)
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def signed_in(server):
    people = {}
    for name, password in PASSWORDS.items():
        people[name] = Visitor(server)
        assert people[name].sign_in(name, password).status == 303
        people[name].connect()
        people[name].visit("review", **QUERY)
    yield people
    for visitor in people.values():
        visitor.close()


def test_nothing_is_served_before_signing_in(someone):
    for path in ("/_stcore/host-config", "/media/x.json", "/static/x.js", "/_stcore/metrics", "/index.html"):
        assert someone.ask("GET", path).status == 401
    with pytest.raises(InvalidStatus):
        someone.connect()
    with pytest.raises(InvalidStatus):
        someone.connect(**{"X-Oga-Account": b"Ada".hex()})


def test_nobody_uploads_before_signing_in(someone, signed_in):
    someone.ask("GET", "/_stcore/health")
    assert someone.upload(signed_in["Ada"].session, str(uuid.uuid4()), b"x") == 401
    assert someone.upload("x", str(uuid.uuid4()), b"x") == 401


def test_a_page_leads_to_the_form_and_the_form_back_to_the_page(someone):
    answer = someone.ask("GET", "/review?run=digits&flagged=9", headers={"Accept": "text/html"})
    assert answer.status == 303
    assert answer.headers["location"] == "/sign-in?next=%2Freview%3Frun%3Ddigits%26flagged%3D9"
    assert someone.sign_in("Ada", PASSWORDS["Ada"], "/review?run=digits").headers["location"] == "/review?run=digits"


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "javascript:x"]
)
def test_the_form_leads_nowhere_else(someone, target):
    assert someone.sign_in("Ada", PASSWORDS["Ada"], target).headers["location"] == "/"


def test_cookies_cannot_be_made_or_changed(server, someone, signed_in):
    name = f"oga_account_{server.port}"
    encoded, issued, signature = signed_in["Ada"].cookies[name].split(".")
    forged = (
        f"{b'Bob'.hex()}.{issued}.{signature}",
        f"{encoded}.{int(issued) + 1}.{signature}",
        f"{encoded}.{issued}.{'0' * 64}",
        f"{encoded}.{issued}.",
        "x",
        "..",
    )
    for value in forged:
        someone.cookies[name] = value
        assert someone.ask("GET", "/_stcore/host-config").status == 401


def test_another_hosts_name_another_origin_and_another_port_are_refused(server, someone):
    assert someone.sign_in("Ada", PASSWORDS["Ada"]).status == 303
    for path in ("/", "/_stcore/health", "/sign-in"):
        assert someone.ask("GET", path, headers={"Host": "evil.example"}).status == 403
        assert someone.ask("GET", path, headers={"Host": f"127.0.0.1.evil.example:{server.port}"}).status == 403
    for origin in ("http://evil.example", f"http://127.0.0.1:{server.port + 1}", "null"):
        with pytest.raises(InvalidStatus):
            someone.connect(Origin=origin)
        assert someone.sign_in("Ada", PASSWORDS["Ada"], Origin=origin).status == 403


def test_it_listens_on_this_machine_only_and_sends_no_statistics(server):
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    sockets = [each for process in processes for each in process.net_connections("inet")]
    assert [each.laddr for each in sockets if each.status == psutil.CONN_LISTEN] == [("127.0.0.1", server.port)]
    assert {each.raddr.ip for each in sockets if each.raddr} <= {"127.0.0.1"}
    assert any("--browser.gatherUsageStats=false" in process.cmdline() for process in processes)


def test_no_site_may_frame_a_page(someone):
    headers = someone.ask("GET", "/sign-in").headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]


def test_nobody_uploads_for_somebody_else_or_under_a_name_of_theirs(folder, signed_in):
    ada, bob = signed_in["Ada"], signed_in["Bob"]
    before = (folder / "accounts.json").read_bytes()
    assert ada.upload(ada.session, str(uuid.uuid4()), b"x") == 204
    assert bob.upload(ada.session, str(uuid.uuid4()), b"x") == 403
    for name in ("..", "%2e%2e", "..%2f..", "accounts.json"):
        assert ada.upload(ada.session, name, b"{}") in (400, 404)
    assert (folder / "accounts.json").read_bytes() == before


def test_nobody_takes_over_anothers_session(signed_in, someone):
    assert someone.sign_in("Bob", PASSWORDS["Bob"]).status == 303
    someone.connect(resume=signed_in["Ada"].session)
    someone.visit("review", **QUERY)
    assert someone.session != signed_in["Ada"].session
    assert "Decisions are written as Bob." in someone.text


def test_decisions_bear_the_name_of_the_account(run, signed_in):
    sample = run.table["sample_id"][0]
    for name, visitor in signed_in.items():
        visitor.visit("review", **QUERY)
        press(visitor, action="keep", sample=sample, reviewer="Eve", note=f"{name}'s")
    assert {vote.reviewer: vote.note for vote in decided(run)[sample]} == {"Ada": "Ada's", "Bob": "Bob's"}


def test_bulk_decisions_bear_the_name_of_the_account(run, signed_in):
    signed_in["Bob"].visit("explore", **QUERY)
    grid = signed_in["Bob"].component("sample_grid")
    bulk = {"id": "bulk-1", "action": "remove", "ids": [], "reviewer": "Ada"}
    shown = signed_in["Bob"].ask("GET", json.loads(grid[0].json)["page"]).content
    undecided = [sample["id"] for sample in json.loads(shown)["samples"] if sample["id"] not in decided(run)]
    bulk["ids"] = [*undecided[:5], "no such sample"]
    signed_in["Bob"].change("explore", grid, {"bulk": bulk}, **QUERY)
    votes = decided(run)
    for sample in bulk["ids"][:5]:
        assert ("Bob", "remove") in {(vote.reviewer, vote.action) for vote in votes[sample]}
        assert ("Ada", "remove") not in {(vote.reviewer, vote.action) for vote in votes[sample]}
    assert "no such sample" not in votes


def test_a_settlement_bears_the_name_of_the_account_and_only_its_owner_undoes_it(run, signed_in):
    ada, bob = signed_in["Ada"], signed_in["Bob"]
    sample = run.table["sample_id"][10]
    for visitor, action in ((ada, "keep"), (bob, "remove")):
        visitor.visit("review", **QUERY)
        press(visitor, action=action, sample=sample)
    ada.visit("review", **QUERY)
    ada.use("review", {"review-mode": "Reviewers"}, **QUERY)
    forged = {"review-mode": "Reviewers", "reviewer": "Bob", "settle-Bob": True}
    ada.use("review", forged, **QUERY, reviewer="Bob")
    assert settlements(run, sample) == [("settle", "Ada", "settled as Bob said", False)]
    bob.visit("review", **QUERY)
    bob.use("review", {"review-mode": "History"}, **QUERY)
    bob.use("review", {"review-mode": "History", "history-undo": True}, **QUERY)
    assert settlements(run, sample) == [("settle", "Ada", "settled as Bob said", False)]
    assert {vote.reviewer for vote in decided(run)[sample]} == {"Ada"}
    for visitor in (ada, bob):
        visitor.use("review", {"review-mode": "One by one"}, **QUERY)


def test_nobody_deletes_or_renames_the_run_of_all(run, signed_in):
    before = decided(run)
    signed_in["Bob"].visit("run", **QUERY)
    for forged in ({"delete": True}, {"rename": True, "rename-digits": "mine"}):
        signed_in["Bob"].use("run", forged, **QUERY)
    assert decided(run) == before


def test_a_sample_that_the_run_does_not_have_is_refused(run, signed_in):
    signed_in["Ada"].visit("review", **QUERY)
    press(signed_in["Ada"], action="keep", sample="no such sample")
    assert "no such sample" in signed_in["Ada"].text
    assert "no such sample" not in decided(run)


def test_undo_takes_back_only_ones_own(run, signed_in):
    ada, bob = signed_in["Ada"], signed_in["Bob"]
    first, second = run.table["sample_id"][1:3]
    for visitor, sample in ((ada, first), (bob, second)):
        visitor.visit("review", **QUERY)
        press(visitor, action="remove", sample=sample)
    for _ in range(4):
        press(bob, action="undo")
    votes = decided(run)
    assert [vote.reviewer for vote in votes[first]] == ["Ada"]
    assert "Bob" not in {vote.reviewer for each in votes.values() for vote in each}
    press(ada, action="redo")
    press(bob, action="redo")
    assert {vote.reviewer for each in decided(run).values() for vote in each} == {"Ada", "Bob"}


def test_an_account_that_is_taken_away_is_out_at_once(folder, someone):
    path = folder / "accounts.json"
    before = path.read_text()
    set_password(path, "Eve", "a long password")
    assert someone.sign_in("Eve", "a long password").status == 303
    someone.connect()
    someone.visit("review", **QUERY)
    assert "Decisions are written as Eve." in someone.text
    path.write_text(before)
    someone.visit("review", **QUERY)
    assert "no longer there" in someone.text
    assert "Decisions are written" not in someone.text
    assert someone.ask("GET", "/_stcore/host-config").status == 401
    path.write_text("{")
    assert someone.ask("GET", "/_stcore/host-config").status == 503
    path.write_text(before)


def test_a_name_cannot_be_typed(signed_in):
    signed_in["Ada"].visit("review", **QUERY)
    assert "Decisions are written as Ada." in signed_in["Ada"].text
    assert "Your name, written to every decision" not in signed_in["Ada"].text


def test_failures_are_logged_and_slowed_down(server, someone):
    answers = [someone.sign_in("Mallory\nforged line", f"wrong {number}").status for number in range(7)]
    assert answers == [401, 401, 401, 401, 401, 429, 429]
    lines = re.findall(r"sign-in failed: name 'Mallory\\nforged line' from 127.0.0.1, failure \d in a row", server.log)
    assert len(lines) == 5
    assert not re.search("^forged line", server.log, re.MULTILINE)


def press(visitor, **event):
    visitor.press("review", visitor.component("review_queue"), [{"id": uuid.uuid4().hex, **event}], **QUERY)


def decided(run):
    with closing(ReviewStore(run.review)) as store:
        return store.votes()


def settlements(run, sample):
    """The settlements of a sample: kind, whose, note, whether undone."""
    with closing(ReviewStore(run.review)) as store:
        steps = [step for step in store.history(sample) if step.kind == "settle"]
    return [(step.kind, step.reviewer, step.first.note, step.undone) for step in steps]


def test_a_page_says_where_the_server_is_so_that_it_is_asked_there_at_once(signed_in):
    ada = signed_in["Ada"]
    for path in ("/", "/explore", "/review?run=digits"):
        page = ada.ask("GET", path, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
        content = page.content
        assert page.status == 200
        assert len(content) == int(page.headers["content-length"])
        place, entry = content.index(b"BACKEND_BASE_URL: new URL('.', location.href)"), content.index(b'type="module"')
        assert place < content.index(b".stAppSkeleton *") < entry  # before anything is drawn
    assert b"BACKEND_BASE_URL" not in ada.ask("GET", "/index.html").content
