"""The grid of samples in real headless Chromium."""

from __future__ import annotations

import pytest
from component_probes import Traffic, until

pytestmark = pytest.mark.browser


def log(page) -> str:
    return page.get_by_test_id("stText").first.inner_text()


def test_grid_selects_by_mouse_and_asks_before_it_decides(opened):
    page = opened("grid")
    page.locator(".tile").nth(2).click()
    page.locator(".tile").nth(5).click(modifiers=["Shift"])
    page.locator(".tile").nth(4).click()
    page.get_by_role("button", name="Remove").click()
    assert "Remove, 3 samples?" in page.locator(".bar").inner_text()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(500)
    assert log(page) == ""
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove: 3 samples").click()
    until(lambda: log(page) == "remove None s2 s3 s5")
    assert page.locator(".tile[aria-selected=true]").count() == 0


def test_grid_works_without_a_mouse(opened):
    page = opened("grid")
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("l")
    page.keyboard.type("class 3")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    until(lambda: log(page) == "relabel class 3 s1 s2")
    page.keyboard.press("Enter")
    until(lambda: log(page).endswith("open s2"))
    page.keyboard.press("Control+a")
    page.keyboard.press("k")
    assert "Keep, 60 samples?" in page.locator(".bar").inner_text()
    page.keyboard.press("Enter")
    until(lambda: log(page).count("s") > 60)


def test_grid_gives_a_class_by_its_number(opened):
    page = opened("grid")
    page.locator(".tile").nth(2).click()
    place = page.locator(".tile").nth(2).bounding_box()
    page.keyboard.press("4")
    assert "Relabel to class 3, 1 sample?" in page.locator(".bar").inner_text()
    assert page.locator(".tile").nth(2).bounding_box() == place
    page.keyboard.press("Enter")
    until(lambda: log(page) == "relabel class 3 s2")


def test_grid_sends_a_page_once(opened):
    page = opened("grid")
    traffic = Traffic(page)
    page.locator(".tile").nth(1).dblclick()
    until(lambda: "open s1" in log(page))
    assert [url for url in traffic.files if "/media/" in url] == []
    assert traffic.received < 10_000
    page.get_by_test_id("stNumberInputField").fill("1")
    page.keyboard.press("Enter")
    page.locator(".tile[aria-label^='s60,']").wait_for()
    assert len([url for url in traffic.files if "/media/" in url]) == 1


def test_grid_selects_more_than_its_page(opened):
    page = opened("grid")
    bar = page.locator(".bar")
    assert "60 of 300 shown" in bar.inner_text()
    page.get_by_role("button", name="Select all in this list").click()
    assert "300 of 300 selected" in bar.inner_text()
    page.locator(".tile").nth(2).click()
    assert "59 of 60 selected" in bar.inner_text()
    page.get_by_role("button", name="Select all in this list").click()
    page.locator(".tile").first.focus()
    page.keyboard.press("s")
    assert "Take suggestions, 300 samples?" in bar.inner_text()
    page.keyboard.press("Enter")
    until(lambda: log(page) == "suggest None every")
