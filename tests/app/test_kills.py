"""No acknowledged decision is lost when the real server is killed; benchmarks/ui.py does it 200 times."""

from kills import review_while_killed


def test_a_killed_server_loses_no_acknowledged_decision(tmp_path):
    result = review_while_killed(tmp_path, kills=3)
    assert result["acknowledged"] > 3
    assert result["acknowledged_but_not_on_disk"] == 0
    assert result["decisions_lost"] == 0
    assert result["decisions_doubled"] == 0
    assert result["temporaries_left"] == 0
