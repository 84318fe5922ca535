import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oga_app.server.accounts import Accounts, set_password
from oga_app.server.serving import serve
from oga_app.server.settings import Settings
from oga_core.errors import OgaError


@pytest.fixture(scope="module")
def two_accounts(tmp_path_factory) -> Path:
    """Made once: a hash takes a third of a second on purpose."""
    path = tmp_path_factory.mktemp("accounts") / "accounts.json"
    set_password(path, "Ada", "correct horse")
    set_password(path, "Grace", "battery staple")
    return path


@pytest.fixture
def accounts(two_accounts, tmp_path) -> Path:
    return Path(shutil.copy(two_accounts, tmp_path))


def test_only_the_right_password_is_accepted(accounts):
    known = Accounts(accounts)
    assert known.accepts("Ada", "correct horse")
    assert known.accepts("Grace", "battery staple")
    assert not known.accepts("Ada", "battery staple")
    assert not known.accepts("Ada", "")
    assert not known.accepts("Eve", "correct horse")


def test_a_password_can_be_changed_and_is_not_written_down(accounts):
    set_password(accounts, "Ada", "another password")
    assert Accounts(accounts).accepts("Ada", "another password")
    assert not Accounts(accounts).accepts("Ada", "correct horse")
    assert b"another password" not in accounts.read_bytes()
    assert accounts.stat().st_mode & 0o077 == 0


def test_the_command_takes_the_password_from_standard_input(tmp_path):
    command = [sys.executable, "-m", "oga_app.cli", "account", str(tmp_path / "a.json"), "Ada"]
    done = subprocess.run(command, input="correct horse\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Accounts(tmp_path / "a.json").accepts("Ada", "correct horse")


@pytest.mark.parametrize(("name", "password", "message"), [("", "long enough", "no name"), ("Ada", "short", "has 5")])
def test_poor_accounts_are_refused(name, password, message, tmp_path):
    with pytest.raises(OgaError, match=message):
        set_password(tmp_path / "a.json", name, password)


@pytest.mark.parametrize("content", ["", "[]", '{"Ada": 1}', '{"Ada": "zz"}', '{"Ada": "$scrypt$60$00$00"}'])
def test_a_damaged_file_is_refused(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(OgaError, match="is damaged"):
        Accounts(path)


def test_the_network_needs_accounts(tmp_path):
    with pytest.raises(OgaError, match="everybody in the network could see"):
        serve(tmp_path, port=8599, browser=False, address="0.0.0.0")
    with pytest.raises(OgaError, match="does not exist"):
        serve(tmp_path, port=8599, browser=False, address="0.0.0.0", accounts=tmp_path / "none.json")


def test_paths_are_closed_on_a_shared_dashboard(accounts, tmp_path):
    shared = Settings.parse(["--run", str(tmp_path), "--accounts", str(accounts)])
    with pytest.raises(OgaError, match="Paths are closed"):
        shared.confined(str(accounts))
    rooted = Settings.parse(["--run", str(tmp_path), "--accounts", str(accounts), "--data-root", str(tmp_path)])
    (tmp_path / "data.csv").write_text("id,label\n")
    assert rooted.confined("data.csv") == tmp_path / "data.csv"
    (tmp_path / "link.json").symlink_to(accounts)
    for name in (accounts.name, "link.json"):
        with pytest.raises(OgaError, match="is no data"):
            rooted.confined(name)


def test_hashes_cost_128_mb_and_former_ones_are_made_anew_at_the_next_sign_in(accounts):
    former = os.urandom(16)
    former += hashlib.scrypt(b"lovelace 1843", salt=former, n=2**14, r=8, p=1)
    hashes = json.loads(accounts.read_text())
    assert all(value.startswith("$scrypt$17$") for value in hashes.values())
    accounts.write_text(json.dumps({**hashes, "Ada": former.hex()}))
    assert not Accounts(accounts).sign_in("Ada", "correct horse")
    assert json.loads(accounts.read_text())["Ada"] == former.hex()
    assert Accounts(accounts).sign_in("Ada", "lovelace 1843")
    assert json.loads(accounts.read_text())["Ada"].startswith("$scrypt$17$")
    assert json.loads(accounts.read_text())["Grace"] == hashes["Grace"]
    assert Accounts(accounts).accepts("Ada", "lovelace 1843")
    assert accounts.stat().st_mode & 0o077 == 0


def test_another_password_is_another_key_for_cookies(accounts):
    key = Accounts(accounts).key("Ada")
    set_password(accounts, "Ada", "another password")
    assert key != Accounts(accounts).key("Ada") != Accounts(accounts).key("Grace")
    assert Accounts(accounts).key("Eve") is None


def test_a_given_name_does_not_go_with_accounts(accounts, tmp_path):
    with pytest.raises(OgaError, match="Leave --reviewer out"):
        serve(tmp_path, port=8599, browser=False, reviewer="Eve", accounts=accounts)
