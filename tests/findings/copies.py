"""Copies of images as they are found in collections: saved again, moved by a pixel, brighter and darker."""

import io

import numpy as np
from PIL import Image


def saved_again(image, quality):
    """The image after a round through JPEG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def times(image, factor):
    """The image in other light, cut off at white."""
    return np.clip(image * factor, 0, 255).astype(np.uint8)


COPIES = {
    "as it is": lambda image: image,
    "JPEG 75": lambda image: saved_again(image, 75),
    "JPEG 40": lambda image: saved_again(image, 40),
    "shifted across": lambda image: np.roll(image, 1, axis=1),
    "shifted, black enters": lambda image: np.pad(image, ((1, 0), (1, 0), (0, 0)))[:-1, :-1],
    "shifted, edge repeated": lambda image: np.pad(image, ((0, 1), (0, 0), (0, 0)), mode="edge")[1:],
    "brighter": lambda image: times(image, 1.3),
    "darker": lambda image: times(image, 0.7),
}


def recall_and_precision(duplicate_of, n_originals, source):
    """Share of the copies whose original is found, and of all that is found the share that is copy or original.

    source: positions of the originals; the copies stand behind all originals in the same order.
    """
    copies = n_originals + np.arange(len(source))
    found = duplicate_of[copies] == source
    planted = np.zeros(len(duplicate_of), dtype=bool)
    planted[source] = planted[copies] = True
    return float(found.mean()), float(planted[duplicate_of >= 0].mean())
