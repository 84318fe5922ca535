"""What the pages compute from a run, without Streamlit."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from app_runs import ODD_CLASSES, image_run, with_columns
from PIL import Image

from oga_app import state
from oga_app.background import explaining
from oga_app.elements import charts, desk, messages, raster
from oga_app.server.settings import Settings
from oga_core.errors import OgaError
from oga_core.findings.kinds import STRANGE
from oga_core.previews.content import Preview
from oga_core.review import Decision, ReviewStore
from oga_core.review import queue as ordering
from oga_core.review.board import DecisionBoard
from oga_core.review.filters import Filters
from oga_core.review.selection import Selection
from oga_core.runs.counts import class_shares, confusion
from oga_core.runs.evidence import Evidence
from oga_core.runs.scored import ScoredRun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return image_run(tmp_path_factory.mktemp("images"))


@pytest.fixture
def data(run):
    return ScoredRun(run.path)


@pytest.fixture
def board(data, tmp_path):
    store = ReviewStore(tmp_path / "review.sqlite")
    yield DecisionBoard(data, store)
    store.close()


def test_order_rank_and_percentile_agree(data):
    order, rank, score = data.order("loss"), data.rank("loss"), data.score("loss")
    assert (np.diff(score[order]) <= 0).all()
    assert (rank[order] == np.arange(len(data))).all()
    assert data.percentile("loss", int(order[0])) == pytest.approx(100 * (1 - 1 / len(data)))
    assert data.percentile("loss", int(order[-1])) == 0.0
    with pytest.raises(OgaError, match="Unknown score 'magic'"):
        data.score("magic")


def test_the_default_score_comes_first(data):
    assert data.scores == ["loss", "l2_norm"]


def test_labels_are_codes_of_the_classes(data, run):
    names = np.array(data.classes, dtype=object)
    assert (names[data.given] == run.table["given_label"]).all()
    assert (names[data.predicted] == run.table["predicted_label"]).all()


def test_the_suggestion_is_never_the_given_label(data):
    for row in range(len(data)):
        suggestion = data.suggestion(row)
        assert suggestion == (-1 if data.predicted[row] == data.given[row] else data.predicted[row])


def test_nothing_is_suggested_for_a_sample_out_of_distribution(data, tmp_path):
    row = int(np.flatnonzero(data.predicted != data.given)[0])
    assert data.proposal(row) == data.class_name(data.suggestion(row)) == data.class_name(data.predicted[row])
    data = with_columns(data, tmp_path, finding=STRANGE)
    assert data.suggestion(row) == -1
    assert data.proposal(row) is None


def test_class_shares_and_confusion():
    given, predicted = np.array([0, 0, 1, 1, 1, -1]), np.array([0, 1, 1, 1, 0, 0])
    table = class_shares(given, 3, np.array([1, 4]))
    assert table["class"].tolist() == [0, 1, 2]
    assert table["flagged"].tolist() == [1, 1, 0]
    assert table["share"].tolist() == pytest.approx([50, 100 / 3, 0])
    assert confusion(given, predicted, 3).tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]


EVERYTHING = Filters()


def chosen(data, board, filters=EVERYTHING, flagged=12, find=None):
    return Selection.of(filters, data, board, "loss", flagged, find)


def test_filters_restrict_and_survive_the_address(data, board):
    name = data.classes[2]
    board.store.decide(Decision(str(data.ids[0]), "remove"))
    board.refresh()
    camera = pd.DataFrame({"camera": np.where(np.arange(len(data)) % 3 == 0, "old", "new")})
    camera.to_parquet(data.path / "groups.parquet")
    polygon = ((-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6))
    for filters, expected in (
        (Filters(given=name), data.given == 2),
        (Filters(predicted=name, given=name), (data.given == 2) & (data.predicted == 2)),
        (Filters(decision="remove"), np.arange(len(data)) == 0),
        (Filters(decision="undecided"), np.arange(len(data)) != 0),
        (Filters(side="flagged"), data.rank("loss") < 12),
        (Filters(text=str(data.ids[5])[-8:].upper()), np.arange(len(data)) == 5),
        (Filters(polygon=polygon), np.ones(len(data), dtype=bool)),
        (Filters(given="no such class"), np.zeros(len(data), dtype=bool)),
        (Filters(prediction="another label"), data.given != data.predicted),
        (Filters(prediction="as the given label", given=name), (data.given == 2) & (data.predicted == 2)),
        (Filters(reviewer="me"), np.arange(len(data)) == 0),
        (Filters(reviewer="nobody"), np.zeros(len(data), dtype=bool)),
        (Filters(score_range=("loss", 0.5, 2.0)), (data.score("loss") >= 0.5) & (data.score("loss") <= 2)),
        (Filters(metadata=(("camera", "old"),)), np.arange(len(data)) % 3 == 0),
        (Filters(metadata=(("no such column", "old"),)), np.zeros(len(data), dtype=bool)),
        (Filters(content="whisker"), np.arange(len(data)) % 5 == 0),
    ):
        again = Filters.from_json(filters.to_json())
        assert again == filters
        found = chosen(data, board, again, find=lambda text: np.arange(len(data)) % 5 == 0)
        assert (found.chosen == expected).all()
        assert len(list(filters.chips())) == len(json.loads(filters.to_json()))
    assert Filters().to_json() == ""
    assert not Filters()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"side": "up"}',
        '{"polygon": [[0, 0], [1, 1]]}',
        '{"polygon": [[0, 0], [1, 1], [NaN, 1]]}',
        '{"x": "y"}',
        '{"prediction": "wrong"}',
        '{"score_range": ["loss", 1]}',
        '{"score_range": ["loss", 0, NaN]}',
        '{"probability_range": "ab"}',
        '{"metadata": [["a", 1]]}',
        "3",
    ],
)
def test_a_damaged_address_is_refused(text):
    with pytest.raises(OgaError, match="filter in the address cannot be read"):
        Filters.from_json(text)


def test_the_board_follows_decisions_and_undo(data, board):
    names = [str(name) for name in data.ids[:3]]
    board.store.decide([Decision(name, "remove") for name in names])
    board.store.decide(Decision(names[0], "keep"))
    assert board.refresh().codes[:4].tolist() == [0, 2, 2, -1]
    board.store.undo("me")
    board.store.undo("me")
    assert (board.refresh().codes == -1).all()
    assert board.decisions == {}


def test_the_queue_mixes_in_random_unflagged_samples(data, board):
    everything = chosen(data, board, flagged=45)
    queue = ordering.mixed_queue(everything)
    flagged = queue[data.rank("loss")[queue] < 45]
    assert (flagged == data.order("loss")[:45]).all()
    assert len(queue) - len(flagged) == 5
    assert len(set(queue.tolist())) == len(queue)
    assert data.rank("loss")[queue[9]] >= 45
    assert (ordering.mixed_queue(everything) == queue).all()
    assert (ordering.mixed_queue(chosen(data, board, flagged=0)) == data.order("loss")).all()


def test_lists_around_the_threshold(data, board):
    everything, order = chosen(data, board, flagged=45), data.order("loss")
    assert (ordering.listed(everything, "At the threshold", 20) == order[35:55]).all()
    assert (ordering.listed(everything, "Below the threshold", 20) == order[45:]).all()
    assert (ordering.listed(everything, "Most suspicious", 20) == order).all()
    assert sorted(ordering.listed(everything, "Random", 20)) == list(range(len(data)))
    some = chosen(data, board, Filters(given=data.classes[1]), flagged=45)
    for which in ordering.LISTS:
        assert (data.given[ordering.listed(some, which, 20)] == 1).all()


def test_a_selection_counts_what_passes(data, board):
    some = chosen(data, board, Filters(given=data.classes[1]), flagged=45)
    flagged = (data.given == 1) & (data.rank("loss") < 45)
    assert len(some) == (data.given == 1).sum()
    assert set(some.flagged) == set(np.flatnonzero(flagged))
    assert some.share_flagged == flagged.sum() / len(some)
    shares = some.class_shares()
    assert shares[["class", "samples", "flagged"]].values.tolist() == [[1, len(some), flagged.sum()]]
    assert some.confusion().sum() == some.confusion()[1].sum() == len(some)
    assert some.confusion(only_flagged=True).sum() == flagged.sum()


@pytest.fixture
def session(run):
    """The session of a tab whose server has no accounts."""
    yield state.session(Settings(run.path.parent))
    st.session_state.clear()


@pytest.mark.usefixtures("session")
def test_the_desk_shows_decides_and_undoes(data, board):
    queue = data.order("loss")[:5]
    backend = desk.Desk(data, board, queue, reviewer="ann", score="loss", flagged=5)
    first, second = backend.upcoming(2)
    assert data.ids.rows([first, second]).tolist() == queue[:2].tolist()
    event = desk.ReviewEvent("tab:1", "relabel", first, data.classes[0], "note")
    backend.apply(event)
    backend.apply(event)
    assert board.store.decision(first).note == "note"
    assert backend.upcoming(1) == [second]
    assert backend.progress()["done"] == 1
    assert backend.apply(desk.ReviewEvent("tab:2", "undo")) == [first]
    assert backend.upcoming(1) == [first]
    other = desk.Desk(data, board, queue, reviewer="bob", score="loss", flagged=5)
    assert first not in other.upcoming(5)


def test_probabilities_hold_the_given_label(data):
    for row in range(0, len(data), 17):
        shown = dict(Evidence(data).probabilities(row, top=1))
        assert data.class_name(data.given[row]) in shown
        assert max(shown, key=shown.get) == data.class_name(data.predicted[row])


def test_class_names_in_any_script_survive(tmp_path):
    odd = ScoredRun(image_run(tmp_path, "odd", ODD_CLASSES).path)
    assert set(odd.classes) == set(ODD_CLASSES)
    assert (odd.given >= 0).all()


def test_markdown_of_labels_is_escaped():
    assert messages.plain("![a](b) **x**") == r"\!\[a\]\(b\) \*\*x\*\*"
    assert messages.plain("猫 قطة") == "猫 قطة"


def test_the_raster_does_not_grow_with_the_samples():
    positions = np.random.default_rng(0).normal(size=(200_000, 2)).astype(np.float32)
    positions[0] = np.nan
    edges = raster.bounds(positions)
    small, large = raster.density_png(positions[:20_000], edges), raster.density_png(positions, edges)
    assert large.startswith(b"\x89PNG")
    assert len(large) < 3 * len(small) < 2_000_000


def test_the_raster_map_shows_the_flagged_and_selects_by_polygon(data, board):
    figure = charts.raster_map(chosen(data, board, flagged=12))
    assert len(figure.data[0].x) == 12
    some = chosen(data, board, Filters(side="unflagged"), flagged=12)
    assert len(charts.raster_map(some).data[0].x) == 0
    assert figure.layout.images[0].source.startswith("data:image/png;base64,")
    box = charts.polygon_of({"box": [{"x": [0, 1], "y": [2, 3]}], "lasso": []})
    assert box == ((0, 2), (1, 2), (1, 3), (0, 3))
    assert charts.polygon_of({"lasso": [{"x": [0, 1, 2], "y": [3, 4, 5]}]}) == ((0, 3), (1, 4), (2, 5))
    assert charts.polygon_of({"box": [], "lasso": []}) is None


def test_the_histogram_holds_every_sample_that_passes_once(data, board):
    codes = np.full(len(data), -1, dtype=np.int8)
    codes[:5] = 2
    figure = charts.histogram(chosen(data, board), codes, "loss")
    assert {bars.name: sum(bars.y) for bars in figure.data} == {"undecided": len(data) - 5, "remove": 5}
    some = charts.histogram(chosen(data, board, Filters(given=data.classes[1])), codes, "loss")
    assert sum(sum(bars.y) for bars in some.data) == (data.given == 1).sum()
    assert (some.data[0].x == figure.data[0].x).all()


def test_a_saliency_overlay_is_warm_where_the_loss_rises():
    address = explaining.overlay(np.array([[1.0, -0.5], [0.0, 2.0]]))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))
    assert picture[0, 0].tolist() == [194, 65, 12, 220]
    assert picture[0, 1].tolist() == [0, 114, 178, 110]
    assert picture[1, 0, 3] == 0
    assert picture[1, 1, 3] == 220


def test_a_tile_is_the_picture_without_what_the_data_say_beside_it(data, board):
    shown = Preview(image="data:image/png;base64,AA==", fields=(("age", "7"),))
    tile, card = (desk._view(data, board, 0, shown, score="loss", flagged=5, full=full) for full in (False, True))
    assert tile.fields == ()
    assert card.fields == shown.fields
