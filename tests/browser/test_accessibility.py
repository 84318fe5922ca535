"""axe finds nothing serious on any page, light and dark."""

import pytest
from conftest import visit

pytestmark = pytest.mark.browser

PAGES = ("run", "explore", "review", "compare", "export")


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("page_name", PAGES)
def test_no_serious_findings(browser, server, page_name, look):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme=look)
    visit(page, server, f"{page_name}?run=digits")
    if page_name == "explore":
        page.locator("[role=slider][aria-valuenow]").first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    found = axe.Axe().run(page).response["violations"]
    page.close()
    serious = {
        finding["id"]: [node["html"][:160] for node in finding["nodes"][:3]]
        for finding in found
        if finding["impact"] in ("serious", "critical")
    }
    assert serious == {}


@pytest.mark.parametrize("show", ["map", "queue", "grid"])
@pytest.mark.parametrize("dark", [False, True])
def test_components_have_no_serious_accessibility_findings(opened, show, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(show, dark=dark)
    page.wait_for_timeout(500)
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (finding["id"], node["html"][:200])
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
        if "bidi" in str(node["target"]).lower() or isinstance(node["target"][0], list)
    ]
    assert serious == []
