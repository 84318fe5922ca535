"""axe finds no barrier in our components, light and dark; what it finds on whole pages, test_pages.py asks."""

import pytest
from conftest import barriers

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("show", ["map", "queue", "grid"])
@pytest.mark.parametrize("dark", [False, True])
def test_components_have_no_barriers(opened, show, dark):
    page = opened(show, dark=dark)
    page.wait_for_timeout(500)
    assert barriers(page, inside="bidi") == {}
