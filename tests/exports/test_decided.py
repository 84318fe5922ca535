"""What stands of a run after the decisions: the machine's verdict where nobody gave one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from app_runs import image_run

from oga_core.exports.job import decided_run
from oga_core.review import Decision


def test_an_unsure_decision_leaves_the_verdict_to_the_machine(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    flagged = decided_run(run, {}, trim_fraction=0.1).is_issue.copy()
    ids = run.table["sample_id"].to_numpy()
    both = [ids[np.flatnonzero(flagged)[0]], ids[np.flatnonzero(~flagged)[0]]]
    unsure = {sample_id: Decision(sample_id, "unsure") for sample_id in both}
    assert decided_run(run, unsure, trim_fraction=0.1).is_issue.tolist() == flagged.tolist()
