"""Guards are understood as arithmetic on sizes, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from oga_core.models.pt2.guards import broken_guard, read_guards

NAMES = ["x", "batch_mask"]


@pytest.mark.parametrize(
    ("guard", "x", "mask", "holds"),
    [
        ("L['x'].size()[0] % 3 == 0", (6, 4), (6,), True),
        ("L['x'].size()[0] % 3 == 0", (7, 4), (7,), False),
        ("(L['x'].size()[1]) <= 32", (7, 33), (7,), False),
        ("2 <= L['x'].size()[0] <= 8", (9, 1), (9,), False),
        ("L['batch']['mask'].size()[0] == L['x'].size()[0]", (3, 4), (2,), False),
        ("2 * L['x'].size()[0] - 1 != 5", (3, 4), (3,), False),
        ("-(L['x'].size()[0] // 2) == -1", (3, 4), (3,), True),
        ("5 // (L['x'].size()[0] - 3) == 0", (3, 4), (3,), True),  # cannot be told
    ],
)
def test_guard_on_sizes(guard: str, x: tuple[int, ...], mask: tuple[int, ...], holds: bool) -> None:
    guards = read_guards([guard], NAMES)
    assert len(guards) == 1
    assert (broken_guard(guards, {"x": x, "batch_mask": mask}) is None) == holds


def test_guard_is_shown_as_one_would_write_it() -> None:
    guards = read_guards(["L['batch']['mask'].size()[0] % 3 == L['x'].size()[1]"], NAMES)
    assert broken_guard(guards, {"x": (2, 2), "batch_mask": (2,)}) is None
    assert broken_guard(guards, {"x": (2, 1), "batch_mask": (2,)}) == "mask.shape[0] % 3 == x.shape[1]"


def test_a_batch_of_one_is_always_allowed() -> None:
    guards = read_guards(["L['x'].size()[0] >= 2"], NAMES)
    assert broken_guard(guards, {"x": (1, 4), "batch_mask": (1,)}) is None


@pytest.mark.parametrize(
    "guard",
    [
        "__import__('os').mkdir('marker') is None",
        "L['x'].size()[0] in [1, 2]",
        "L['y'].size()[0] == 2",
        "L['x'].shape[0] == 2",
        "L['x'].size()['a'] == 2",
        "2 ** 10 ** 10 == 1",
        "(" * 500 + "1" + ")" * 500,
        "-" * 999 + "1",
        "1 +" * 5000 + "1",
        "lambda: 1",
        "not python",
        7,
        None,
    ],
)
def test_everything_else_is_left_out(guard: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    guards = read_guards([guard], NAMES)
    assert broken_guard(guards, {"x": (2, 4), "batch_mask": (2,)}) is None
    assert not list(tmp_path.iterdir())
    assert read_guards(guard, NAMES) == []
