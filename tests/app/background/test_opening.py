"""What is made beside a page that opens a run of many samples."""

import threading
from functools import cached_property

import pytest
from app_runs import image_run

from oga_app import cache
from oga_core.runs.scored import ScoredRun


@pytest.mark.parametrize(("soon", "is_beside"), [(0, True), (1_000, False)])
def test_ranks_and_clusters_of_many_samples_are_made_beside_the_page(tmp_path, monkeypatch, soon, is_beside):
    threads = {}
    finished = threading.Event()

    def noted(name, made):
        threads[name] = threading.current_thread()
        if len(threads) == 2:
            finished.set()
        return made

    ranks, clusters = ScoredRun.rank, ScoredRun.clusters.func
    watched = cached_property(lambda data: noted("clusters", clusters(data)))
    watched.__set_name__(ScoredRun, "clusters")
    monkeypatch.setattr(cache, "SOON", soon)
    monkeypatch.setattr(ScoredRun, "rank", lambda data, score: noted("ranks", ranks(data, score)))
    monkeypatch.setattr(ScoredRun, "clusters", watched)
    run = image_run(tmp_path)
    cache._run_data(str(run.path), (0, 0, 0), "closed here")
    assert finished.wait(20 if is_beside else 0.2) == is_beside
    assert threading.current_thread() not in threads.values()
