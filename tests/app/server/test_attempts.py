"""The wait after wrong passwords."""

import pytest

from oga_app.server.attempts import Attempts


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_first_failures_cost_nothing_and_then_the_wait_doubles(clock):
    attempts = Attempts(longest=30, clock=clock)
    waits = []
    for _ in range(12):
        attempts.failed("Ada")
        waits.append(attempts.wait("Ada"))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert attempts.wait("Grace") == 0
    clock.now += 29
    assert attempts.wait("Ada") == 1
    clock.now += 1
    assert attempts.wait("Ada") == 0


def test_a_right_password_and_an_hour_without_failures_begin_anew(clock):
    attempts = Attempts(longest=900, clock=clock)
    for key in ("Ada", "Grace"):
        for _ in range(9):
            attempts.failed(key)
    attempts.succeeded("Ada")
    assert attempts.failed("Ada") == 1
    clock.now += 3601
    assert attempts.failed("Grace") == 1


def test_many_names_do_not_fill_the_memory(clock):
    attempts = Attempts(longest=900, clock=clock)
    for number in range(10_050):
        attempts.failed(number)
    assert len(attempts._failures) == 10_000
    assert attempts.failed(0) == 1
