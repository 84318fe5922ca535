"""Opens attack files one after the other, in a worker, and says what came of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY = 4 << 30


def load_all(arguments: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Load every path without the file jail, so that only the loaders themselves keep a payload from its marker."""
    from oga_core.errors import OgaError
    from oga_core.models import load_model
    from oga_core.worker.jail import set_limits
    from oga_core.worker.stages import peak_rss_mb

    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    set_limits(MEMORY, None, 1 << 30, accelerator=False)
    outcomes: dict[str, Any] = {}
    for name, path in arguments["paths"].items():
        report({"stage": f"loading {name}"})
        start = time.process_time()
        try:
            load_model(Path(path))
            outcome = {"error": None, "message": ""}
        except OgaError as error:
            outcome = {"error": "OgaError", "message": str(error)}
        except Exception as error:
            outcome = {"error": type(error).__name__, "message": str(error)}
        outcome["seconds"] = time.process_time() - start
        outcome["rss_mb"] = peak_rss_mb()
        outcomes[name] = outcome
    return outcomes


def apply_chat_template(arguments: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Load a language model and use its chat template."""
    import transformers

    from oga_core.models import load_model

    report({"stage": f"loading with transformers {transformers.__version__}"})
    tokenizer = load_model(arguments["path"]).tokenizer
    report({"stage": "reading conversations"})
    return {"text": tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)}
