"""How long somebody who keeps signing in with a wrong password has to wait."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

# Typing errors cost nothing; from here on the wait doubles.
_FREE = 5
# Somebody else's guesses must not lock an account out for long; guesses from one address may wait a quarter of an hour.
LONGEST_FOR_NAME = 30.0
LONGEST_FOR_ADDRESS = 900.0
# Seconds after which earlier failures no longer count.
_FORGOTTEN_AFTER = 3600.0
# Names and addresses that are remembered; the one that failed longest ago is forgotten first.
_REMEMBERED = 10_000


class Attempts:
    """Failures in a row by key (a name, an address); waits of 1, 2, 4 … seconds after the first few."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic):
        self.longest = longest
        self._clock = clock
        self._failures: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, key: Hashable) -> float:
        """Seconds until the key may try again; 0 where it may now."""
        with self._lock:
            count, last = self._recent(key)
        if count < _FREE:
            return 0.0
        pause = min(2.0 ** min(count - _FREE, 60), self.longest)
        return max(0.0, last + pause - self._clock())

    def failed(self, key: Hashable) -> int:
        """Note one more failure and return how many there are in a row."""
        with self._lock:
            count = self._recent(key)[0] + 1
            self._failures[key] = (count, self._clock())
            self._failures.move_to_end(key)
            if len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)
        return count

    def succeeded(self, key: Hashable) -> None:
        """Forget the failures of a key."""
        with self._lock:
            self._failures.pop(key, None)

    def _recent(self, key: Hashable) -> tuple[int, float]:
        """The failures that still count, and the time of the last."""
        count, last = self._failures.get(key, (0, 0.0))
        return (0, 0.0) if self._clock() - last > _FORGOTTEN_AFTER else (count, last)
