"""What stops a run before its pass, and what `force` lets through."""

import pytest

from oga_core.errors import OgaError
from oga_core.pipeline.checks import Check
from oga_core.pipeline.trial import stop_on_failure

ORDER = Check("label_order", "failure", "The classes are in another order.")
FINITE = Check("finite", "failure", "The outputs are not finite.")
WARNING = Check("memorised", "warning", "The model has memorised.")


def test_force_lets_an_order_of_classes_pass_and_nothing_else():
    stop_on_failure([WARNING])
    stop_on_failure([ORDER, WARNING], force=True)
    for checks, force in (([ORDER], False), ([FINITE], True), ([ORDER, FINITE], True)):
        with pytest.raises(OgaError) as caught:
            stop_on_failure([*checks, WARNING], force=force)
        assert str(caught.value) == " ".join(check.message for check in checks)
        assert [check["name"] for check in caught.value.detail["checks"]][-1] == "memorised"
