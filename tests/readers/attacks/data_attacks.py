"""Hostile and broken data files, built by code: `REFUSED` as a whole, or `UNREADABLE` in one sample.

Every builder gets an empty folder and returns the path to read. Payloads would create `marker` beside the data.
"""

from __future__ import annotations

import data_attacks_archives
import data_attacks_arrays
import data_attacks_images
import data_attacks_tables
from data_attack_files import REFUSED, UNREADABLE

__all__ = ["REFUSED", "UNREADABLE"]

REGISTERED = (data_attacks_archives, data_attacks_arrays, data_attacks_images, data_attacks_tables)
