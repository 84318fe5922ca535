"""What both callbacks do: keep weights while a model is trained, and score its training set at the end."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.data import DataLoader

from oga_core.errors import OgaError
from oga_core.live.weights import save_weights
from oga_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from oga_core.notebook.run import Run


class ScoredTraining:
    """A training that ends in a scored run.

    run: the folder to write. checkpoints: how many to keep at most, spread evenly over the epochs; 0 for none.
    options: of `oga_core.score`, such as loss, classes, scores or map.
    Raises `OgaError` before the training starts where the folder holds something else.
    """

    def __init__(self, run: Path | str, *, checkpoints: int = 3, **options: Any):
        if checkpoints < 0:
            raise OgaError(f"checkpoints must be 0 or more. Got {checkpoints}.")
        self.path = Path(run)
        self.checkpoints = checkpoints
        self.options = options
        self._paths: list[Path] = []
        self._epochs = 0
        self._every = 1

    def begin(self) -> None:
        """Make the run folder, and forget what an earlier training left in it."""
        folder = RunFolder.create(self.path)
        folder.update(status="running")
        for path in (self.path / "checkpoints").glob("epoch-*.safetensors"):
            path.unlink()
        self._paths = []
        self._epochs = 0
        self._every = 1

    def end_epoch(self, model: nn.Module) -> None:
        """Keep the weights of this epoch if its turn has come."""
        self._epochs += 1
        if not self.checkpoints or self._epochs % self._every:
            return
        path = self.path / "checkpoints" / f"epoch-{self._epochs:04d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_weights(model, path)
        self._paths.append(path)
        if len(self._paths) > self.checkpoints:
            self._thin_out()

    def end(self, model: nn.Module, loader: DataLoader[Any], **options: Any) -> Run | None:
        """Score the training set with the trained model and return the run; warn where that fails.

        The training is done by then: nothing that goes wrong here may cost the caller its result.
        """
        from oga_core.api import score

        checkpoints = {"checkpoints": [str(path) for path in self._paths]} if self._paths else {}
        try:
            return score(model, loader, self.path, **{**checkpoints, **options, **self.options})
        except Exception as error:
            fault = "" if isinstance(error, OgaError) else f"a fault in oga: {type(error).__name__}: "
            warnings.warn(f"The training is done, but was not scored: {fault}{error}", stacklevel=2)
            return None

    def _thin_out(self) -> None:
        """Leave out every other checkpoint, and keep half as many from now on."""
        self._every *= 2
        for path in self._paths[::2]:
            path.unlink()
        self._paths = self._paths[1::2]


def require_loader(loader: Any) -> DataLoader[Any]:
    """Return the one loader of a training; raises `OgaError` where there are several or none."""
    if not isinstance(loader, DataLoader):
        raise OgaError(
            f"The training data is {type(loader).__name__!r}. Scoring needs one DataLoader over a map-style Dataset."
        )
    return loader
