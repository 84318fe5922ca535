import numpy as np
import pytest
from ask_runs import LORA_PARAMETERS, ServiceHere, adapter, rows, scored_run, write
from attack_files import build_quietly

import oga_core as oga
from oga_app.cli import main
from oga_core.ask.asker import Asker
from oga_core.errors import OgaError
from oga_core.models import load_model

ROW = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return scored_run(tmp_path_factory.mktemp("ask"))


@pytest.fixture(scope="module")
def asker(run, tmp_path_factory):
    file = write(tmp_path_factory.mktemp("queries") / "queries.jsonl", rows()[:2])
    asker = Asker(run, file=file)
    yield asker
    asker.close()


@pytest.fixture(scope="module")
def gradients(run):
    return np.array(run.gradient_sketch().gradients)


@pytest.fixture
def here(monkeypatch):
    """Let whoever asks be answered in this process."""
    monkeypatch.setattr("oga_core.ask.asker.Service", ServiceHere)


def close(values, expected):
    np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


def test_whole_gradients_of_a_small_adapter_are_kept(run, gradients):
    assert gradients.shape == (len(rows()), LORA_PARAMETERS)
    np.testing.assert_allclose(np.linalg.norm(gradients, axis=1), run.gradient_sketch().l2_norm_all, rtol=1e-4)


def test_a_rows_own_text_finds_the_row_and_says_that_its_words_are_the_same(asker, gradients):
    answer = asker.about(rows()[ROW]["prompt"], rows()[ROW]["completion"], method="cosine", top=40)
    first = answer.pushed_for.iloc[0]
    assert (first["id"], first["words"], first["place_by_words"]) == (f"r{ROW}", 1.0, 1)
    unit = gradients / np.linalg.norm(gradients, axis=1)[:, None]
    expected = unit @ unit[ROW]
    close(answer.pushed_for["score"], np.sort(expected[expected > 0])[::-1])
    close(answer.pushed_against["score"], np.sort(expected[expected < 0]))
    assert answer.whole


def test_methods_answer_as_their_formulas_say(asker, gradients):
    query = gradients[ROW].astype(np.float64)
    moment = gradients.T.astype(np.float64) @ gradients / len(gradients)
    damping = 0.1 * np.trace(moment) / len(moment)
    norms = (gradients**2).sum(axis=1)
    products = gradients @ query
    expected = {
        "tracin": products,
        "fisher": gradients @ np.linalg.solve(moment + damping * np.eye(len(moment)), query),
        "datainf": (products - gradients @ (gradients.T @ (products / (damping + norms))) / len(norms)) / damping,
    }
    for method, values in expected.items():
        answer = asker.about(rows()[ROW]["prompt"], rows()[ROW]["completion"], method=method, top=40)
        order = np.argsort(-values, kind="stable")
        close(answer.pushed_for["score"], values[order][values[order] > 0])
        assert answer.pushed_for["id"].tolist()[:5] == [f"r{row}" for row in order[:5]]


def test_without_a_response_the_model_writes_its_likeliest_tokens(asker, tmp_path):
    import torch

    answer = asker.about("say red ")
    query = answer.queries[0]
    assert query["generated"]
    loaded = build_quietly(lambda: load_model(adapter(tmp_path / "adapter")))
    tokens = loaded.tokenizer("say red ", return_tensors="pt")["input_ids"]
    for word in query["response"].split()[:6]:
        likeliest = int(loaded.module(input_ids=tokens).logits[0, -1].argmax())
        assert loaded.tokenizer.decode([likeliest]) == word
        tokens = torch.cat([tokens, torch.tensor([[likeliest]])], 1)


def test_a_row_is_asked_about_without_itself(asker):
    by_text = asker.about(rows()[ROW]["prompt"], rows()[ROW]["completion"], method="tracin", top=5)
    by_row = asker.like([ROW], method="tracin", top=4)
    assert f"r{ROW}" not in by_row.pushed_for["id"].tolist()
    assert by_row.pushed_for["id"].tolist() == [name for name in by_text.pushed_for["id"] if name != f"r{ROW}"][:4]


def test_a_file_of_rows_is_answered_for_all_together_and_for_each(asker, gradients):
    answer = asker.about_file(method="tracin", top=3)
    assert len(answer.each) == 2
    mean = gradients @ gradients[:2].mean(axis=0)
    close(answer.pushed_for["score"], np.sort(mean)[::-1][:3])
    close(answer.each[1].pushed_for["score"], np.sort(gradients @ gradients[1])[::-1][:3])


def test_what_is_wrong_with_a_question_is_said_and_the_next_one_answered(asker):
    for wrong in ({"prompt": "  "}, {"prompt": "red " * 200, "response": "blue"}):
        with pytest.raises(OgaError):
            asker.about(**wrong)
    with pytest.raises(OgaError, match="Unknown method"):
        asker.about("red", "blue", method="guess")
    with pytest.raises(OgaError, match="number of rows"):
        asker.about("red", "blue", top=0)
    assert len(asker.about("red ", "blue", top=2).pushed_for) <= 2


def test_unless_another_method_is_asked_for_whole_gradients_are_compared_by_ekfac(asker):
    row = rows()[ROW]
    answer = asker.about(row["prompt"], row["completion"], top=5)
    named = asker.about(row["prompt"], row["completion"], method="ekfac", top=5)
    assert answer.method == asker.default_method == "ekfac"
    assert answer.pushed_for["id"].tolist() == named.pushed_for["id"].tolist()


def test_sketches_answer_where_gradients_are_not_whole(here, tmp_path):
    run = scored_run(tmp_path, sketch_dim=64, parameters="lora", seed=3)
    (run.arrays / "gradients.npy").unlink()
    sketch = np.array(run.gradient_sketch().sketch)
    assert sketch.shape[1] == 64
    asker = Asker(run)
    answer = asker.about(rows()[ROW]["prompt"], rows()[ROW]["completion"], method="tracin", top=5)
    close(answer.pushed_for["score"], np.sort(sketch @ sketch[ROW])[::-1][:5])
    assert not answer.whole
    assert asker.default_method == "cosine"
    with pytest.raises(OgaError, match="needs whole gradients"):
        asker.like([0], method="ekfac")
    asker.close()


def test_the_command_line_and_the_notebook_give_the_same_answer(here, run, capsys):
    import json

    arguments = ["ask", str(run.path), "--prompt", rows()[ROW]["prompt"], "--response", rows()[ROW]["completion"]]
    assert main([*arguments, "--top", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    opened = oga.open_run(run.path)
    answer = opened.ask(rows()[ROW]["prompt"], rows()[ROW]["completion"], top=3)
    assert [row["id"] for row in printed["pushed_for"]] == answer.pushed_for["id"].tolist()
    assert opened.ask(rows=[f"r{ROW}"], top=2).queries[0]["id"] == f"r{ROW}"
    assert main(["ask", str(run.path), "--json"]) == 2
    assert "prompt" in json.loads(capsys.readouterr().out)["error"]


def test_only_language_models_can_be_asked(tmp_path):
    random = np.random.default_rng(0)
    bundle = tmp_path / "outputs.npz"
    np.savez(bundle, logits=random.normal(size=(20, 2)), features=random.normal(size=(20, 3)), labels=["a", "b"] * 10)
    with pytest.raises(OgaError, match="Only runs of language models"):
        oga.score(None, bundle, run=tmp_path / "run", scores=["loss"], map="none").ask("x")
