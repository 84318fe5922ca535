"""Model files that are programs, or that hold no gradients: what to say, with the lines that convert them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oga_core.errors import OgaError

PACKAGE = "oga_core.package_model(model.eval(), example_batch, 'model.pt2', classes=['…', '…'])"
STATE_DICT = "from safetensors.torch import save_file; save_file(model.state_dict(), 'model.safetensors')"
_OUTPUTS = "np.savez('outputs.npz', features=features, logits=logits, labels=labels)"

REFUSALS: dict[str, str] = {
    "torchscript": (
        "is a TorchScript archive. Such a file is a program that runs while it loads, so it is never opened. "
        f"Where the model's Python code is, write: {PACKAGE}"
    ),
    "pickle": (
        "is a pickle (a whole pickled model, joblib, or a file of torch before 1.6). Loading a pickle runs whatever "
        "code is in it, so it is never opened. Where you trust the file, write for a PyTorch model: "
        f"{PACKAGE} – for its weights alone: {STATE_DICT} – for a scikit-learn model: "
        "import skops.io; skops.io.dump(model, 'model.skops')"
    ),
    "package": f"is a torch.package archive, which carries Python code, so it is never opened. Write: {PACKAGE}",
    "bin": (
        "holds weights in the pickle format. Save them as safetensors, where the model is trusted: "
        "AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(new_folder); "
        "AutoTokenizer.from_pretrained(folder).save_pretrained(new_folder)"
    ),
    "onnx": (
        "is an ONNX model, from which gradients cannot be taken reliably. Package the PyTorch model it came from: "
        f"{PACKAGE} – or bring its outputs instead of the model: {_OUTPUTS}"
    ),
    "keras": (
        "is a Keras or TensorFlow model, which PyTorch cannot run. Bring its outputs instead: the input of the last "
        f"layer and its logits for every sample: {_OUTPUTS} and give outputs.npz as the data"
    ),
    "gguf": (
        "is a GGUF file: quantised weights have no gradients. Give the Hugging Face folder it was made from: "
        "model.save_pretrained(folder); tokenizer.save_pretrained(folder)"
    ),
    "tar": f"is a tar archive. Zip a Hugging Face folder instead, or write: {PACKAGE}",
    "npz": "is a NumPy archive, not a model. If it holds features and logits (a bundle of outputs), give it as data",
    "unknown": (
        "is no model file that OGA knows. Accepted: a .pt2 file, a Hugging Face folder or a zip of it, a PEFT adapter "
        "folder, .safetensors or .pt weights of a built-in architecture, .skops, or a bundle of outputs (.npz). "
        f"The surest way for any PyTorch model: {PACKAGE}"
    ),
}


def refusal(kind: str, path: Path) -> OgaError:
    """Return the error for a kind of file that is not opened."""
    return OgaError(f"{path.name} {REFUSALS[kind]}.")


def without_gradient(message: str, otherwise: str) -> str:
    """Return what to do about a model that torch cannot take a gradient of, by its message; `otherwise` for others."""
    if "modified by an inplace operation" in message:
        return "Training it would fail alike: write y = y * 2 instead of y *= 2 or y[i] = 2 in its forward."
    if "use_reentrant" in message:
        return "Write checkpoint(function, x, use_reentrant=False) in its forward."
    if "does not require grad" in message:
        return "The loss must be computed from the model's outputs, without detach(), .item() or numpy."
    return otherwise


def complex_parameter(name: str) -> OgaError:
    """Return the error for a parameter of complex numbers, with the lines that make it one of real numbers."""
    last = name.rpartition(".")[2]
    return OgaError(
        f"The parameter {name} is complex, and gradients are computed of real ones alone. Keep its two parts: "
        f"self.{last} = nn.Parameter(torch.view_as_real({last})) in __init__, and torch.view_as_complex(self.{last}) "
        "in forward; trained ones become that by torch.view_as_real(model.state_dict()[…])."
    )


def reason(error: Exception) -> str:
    """Return kind and first line of a library's error, for a message to the person; the second too after a colon."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    told = " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), "no reason given")
    return f"{type(error).__name__}: {told[:300]}"


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Turn a panic of a library written in Rust, which is no `Exception`, into a `RuntimeError`."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the library does not offer the class
            raise
        raise RuntimeError(str(error)) from None
