"""Networks that the machine's owner builds with code of their own, named on the command line and nowhere else."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from oga_core.errors import OgaError

if TYPE_CHECKING:
    from torch import nn

OWN_CODE = (
    "This run's network is built by code of its owner, which runs for oga score --model-factory only. Save the model "
    "with oga_core.package_model and score it again: such a file runs no code."
)


@dataclass(frozen=True)
class ModelFactory:
    """A function without arguments that returns the network which a file of plain weights belongs to.

    module, function: what `--model-factory module:function` names. folder: where the module lies.
    """

    module: str
    function: str
    folder: str

    @classmethod
    def named(cls, name: str) -> ModelFactory:
        """Find `package.module:function` in the current folder or among what is installed; none of its code runs."""
        module, _, function = name.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), function)):
            raise OgaError(f"The model factory {name!r} must be named as package.module:function.")
        top = module.partition(".")[0]
        spec = PathFinder.find_spec(top, [str(Path.cwd())]) or importlib.util.find_spec(top)
        packages = list(spec.submodule_search_locations or ()) if spec else []
        place = packages[0] if packages else spec and spec.origin
        if not place or not Path(place).exists():
            raise OgaError(
                f"There is no module {top!r} for the model factory {name!r}, neither in {Path.cwd()} nor installed. "
                "Change to the folder that holds it."
            )
        return cls(module, function, str(Path(place).resolve().parent))

    def build(self) -> nn.Module:
        """Run the function. Raises `OgaError` with what went wrong in it."""
        from torch import nn

        name = f"{self.module}:{self.function}"
        sys.path.insert(0, self.folder)
        try:
            network = getattr(importlib.import_module(self.module), self.function)()
        except Exception as error:
            raise OgaError(f"The model factory {name} failed: {type(error).__name__}: {error}") from None
        finally:
            sys.path.remove(self.folder)
        if not isinstance(network, nn.Module):
            raise OgaError(f"The model factory {name} must return a torch.nn.Module, got {type(network).__name__}.")
        return network
