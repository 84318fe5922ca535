"""All architectures of the zoo."""

from __future__ import annotations

import zoo_images
import zoo_published
import zoo_splines
import zoo_tables
import zoo_texts
from architecture import Architecture

ARCHITECTURES: list[Architecture] = [
    *zoo_images.ARCHITECTURES,
    *zoo_texts.ARCHITECTURES,
    *zoo_tables.ARCHITECTURES,
    *zoo_splines.ARCHITECTURES,
    *zoo_published.ARCHITECTURES,
]
