"""Reading jobs that go wrong at one sample, however often they are started."""

import os
import time

from oga_core.worker.requests import requests


def _serve(progress, fail):
    progress({"answer": {}})
    for request in requests():
        for row in request["rows"]:
            if row == 2:
                fail(progress)
            progress({"answer": {"text": f"row {row}"}})


def dies_at_row_2(arguments, progress):
    _serve(progress, lambda progress: os._exit(3))


def hangs_at_row_2(arguments, progress):
    _serve(progress, lambda progress: time.sleep(60))


def lies_at_row_2(arguments, progress):
    _serve(progress, lambda progress: progress({"answer": {"fields": 7}}))
