"""Small run folders for the tests of the dashboard: real data files, a real linear model's outputs, no mocks."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from oga_core.gradient_sketch import GradientSketch
from oga_core.map.projection import project
from oga_core.pipeline.contents import content_hashes
from oga_core.readers import read_samples
from oga_core.runs.folder import SCORE_PREFIX, RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.runs.table import CONTENT
from oga_core.samples import SampleSet
from oga_core.scores import confidence, outlier

ODD_CLASSES = (
    "قطة صغيرة تحب اللعب",
    "猫",
    "emoji 🐈‍⬛",
    "x" * 60,
    "<b>bold<b> ![a](evil.example) **md** $x$",
)


def image_run(folder: Path, name: str = "digits", classes: tuple[str, ...] = tuple("01234"), n: int = 120) -> RunFolder:
    """Scored images in class folders: noisy digits of scikit-learn, as many classes as names."""
    from sklearn.datasets import load_digits

    pixels, truth = load_digits(n_class=len(classes), return_X_y=True)
    pixels, labels = pixels[:n], _flipped(truth[:n], len(classes))
    data = folder / f"{name}.zip"
    with zipfile.ZipFile(data, "w") as archive:
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            content = io.BytesIO()
            Image.fromarray((image.reshape(8, 8) * 15.9).astype(np.uint8)).resize((32, 32)).save(content, "PNG")
            archive.writestr(f"{classes[label]}/{i:04}.png", content.getvalue())
    samples = read_samples(data)
    order = np.array([int(Path(sample_id).stem) for sample_id in samples.ids])
    return write_run(folder / name, samples, pixels[order] / 16)


def text_run(folder: Path, name: str = "texts", n: int = 80) -> RunFolder:
    """Scored sentences of two classes, some with the wrong label, one with markup and one in Arabic."""
    texts = [f"A {'good' if i % 2 else 'bad'} film, number {i}." for i in range(n)]
    texts[3], texts[4] = "![x](http://evil.example/x.png) **bold** <script>alert(1)</script>", "فيلم جيد جدا 🎬"
    labels = _flipped(np.arange(n) % 2, 2)
    rows = [{"id": f"t{i:03}", "text": text, "label": ("neg", "pos")[labels[i]]} for i, text in enumerate(texts)]
    samples = read_samples(_csv(folder / f"{name}.csv", rows))
    features = np.stack([np.arange(n) % 2, np.linspace(0, 1, n)], axis=1)
    return write_run(folder / name, samples, features)


def table_run(folder: Path, name: str = "table", n: int = 60) -> RunFolder:
    """Scored rows of numbers, of one class only, so that nothing stands out."""
    rows = [{"id": f"r{i:03}", "size": i % 7, "weight": i / n, "label": "only"} for i in range(n)]
    samples = read_samples(_csv(folder / f"{name}.csv", rows))
    run = write_run(folder / name, samples, np.stack([np.arange(n) % 7, np.linspace(0, 1, n)], axis=1))
    run.update(suggested_trim_fraction=0.0)
    return run


def chat_rows(n: int) -> list[dict[str, object]]:
    """Conversations of two exchanges."""
    turns = [("user", "What is {}?"), ("assistant", "It is {}."), ("user", "And then?"), ("assistant", "Then {} ends.")]
    return [
        {"id": f"c{i:03}", "messages": [{"role": role, "content": text.format(i)} for role, text in turns]}
        for i in range(n)
    ]


def language_run(
    folder: Path, name: str = "prompts", n: int = 40, rows: list[dict[str, object]] | None = None
) -> RunFolder:
    """Scored prompts and completions, or other rows for a language model: no classes, no predictions."""
    data = folder / f"{name}.jsonl"
    rows = rows or [
        {"id": f"p{i:03}", "prompt": f"Say {i}.", "completion": f"**{i}** ![x](http://evil.example/)"} for i in range(n)
    ]
    n = len(rows)
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    samples = read_samples(data)
    losses = np.linspace(0.1, 3, n, dtype=np.float32)
    vectors = np.stack([np.cos(losses), np.sin(losses), losses], axis=1).astype(np.float32)
    run = RunFolder.create(folder / name)
    GradientSketch(given_labels=samples.given_labels, losses=losses, sketch=vectors).save(run.arrays)
    table = pd.DataFrame({"sample_id": samples.ids.astype(str), "given_label": "", "predicted_label": ""})
    table["given_label_probability"] = np.exp(-losses)
    table[SCORE_PREFIX + "loss"] = losses.astype(float)
    table[["map_x", "map_y"]] = project(vectors, method="pca")
    run.write_table(table)
    run.update(
        status="done",
        n_samples=n,
        classes=[],
        modality=samples.modality,
        default_score="loss",
        data=_described(samples),
        model={"path": None},
        options={},
    )
    return run


def write_run(path: Path, samples: SampleSet, features: np.ndarray) -> RunFolder:
    """Score `samples` by a logistic regression on `features` and write the run folder."""
    from sklearn.linear_model import LogisticRegression

    given, n_classes = samples.given_labels, len(samples.class_names)
    if n_classes > 1:
        model = LogisticRegression(C=0.5, max_iter=500).fit(features, given)
        logits = model.decision_function(features)
        logits = np.stack([-logits, logits], axis=1) if logits.ndim == 1 else logits
    else:
        logits = np.zeros((len(given), 1))
    sketch = _sketch(logits.astype(np.float32), features.astype(np.float32), given)
    run = RunFolder.create(path)
    sketch.save(run.arrays)
    names = np.array(samples.class_names, dtype=object)
    table = pd.DataFrame(
        {
            "sample_id": samples.ids.astype(str),
            "given_label": names[given],
            "predicted_label": names[logits.argmax(axis=1)],
            "given_label_probability": sketch.probabilities[np.arange(len(given)), given],
            CONTENT: content_hashes(samples),
        }
    )
    table[SCORE_PREFIX + "loss"] = confidence.loss(sketch)
    table[SCORE_PREFIX + "l2_norm"] = outlier.l2_norm(sketch)
    table[["map_x", "map_y"]] = project(sketch.sketch, method="pca")
    run.write_table(table)
    run.update(
        status="done",
        n_samples=len(samples),
        classes=list(samples.class_names),
        modality=samples.modality,
        default_score="loss",
        suggested_trim_fraction=0.1,
        model_accuracy_on_given_labels=float((logits.argmax(axis=1) == given).mean()),
        gradient_coverage=1.0,
        gradient_check_error=1e-7,
        seconds={"total": 1.5, "each_score": {"loss": 0.01, "l2_norm": 0.02}},
        checks=[{"name": "rows", "level": "ok", "message": "Rows do not depend on each other."}],
        warnings=[],
        data=_described(samples),
        model={"path": None},
        options={},
    )
    return run


def _sketch(logits: np.ndarray, features: np.ndarray, given: np.ndarray) -> GradientSketch:
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(given)), given]
    plain = GradientSketch(
        given_labels=given, losses=losses.astype(np.float32), sketch=features, logits=logits, features=features
    )
    head = (plain.delta[:, :, None] * features[:, None, :]).reshape(len(given), -1)
    return GradientSketch(
        given_labels=given, losses=plain.losses, sketch=head.astype(np.float32), logits=logits, features=features
    )


def _described(samples: SampleSet) -> dict[str, object]:
    return {
        "path": str(samples.source.path),
        "options": {},
        "fingerprint": samples.fingerprint,
        "format": samples.source.format,
    }


def _flipped(labels: np.ndarray, n_classes: int) -> np.ndarray:
    result = np.asarray(labels).copy()
    rows = np.arange(0, len(result), 9)
    result[rows] = (result[rows] + 1) % n_classes
    return result


def _csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def with_columns(data: ScoredRun, folder: Path, **columns: object) -> ScoredRun:
    """A copy of a run in `folder`, with these columns in its table."""
    run = RunFolder(shutil.copytree(data.path, folder / data.name))
    run.write_table(data.table.assign(**columns))
    return ScoredRun(run.path)
