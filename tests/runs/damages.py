"""Run folders that are damaged, foreign, older or newer, each made from a good one: `DAMAGES`."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Damage:
    """How a run folder is broken, and a regular expression of the sentence that says so."""

    do: Callable[[Path], object]
    message: str


DAMAGES: dict[str, Damage] = {}


def _record(name: str, message: str, **changes: Any) -> None:
    """Register a run.json with some fields changed."""

    def do(run: Path) -> None:
        content = json.loads((run / "run.json").read_bytes())
        (run / "run.json").write_text(json.dumps({**content, **changes}))

    DAMAGES[f"record: {name}"] = Damage(do, message)


def _bytes(file: str, name: str, content: bytes, message: str) -> None:
    DAMAGES[f"{file}: {name}"] = Damage(lambda run: (run / file).write_bytes(content), message)


def _cut(file: str, message: str, share: float = 0.6) -> None:
    def do(run: Path) -> None:
        content = (run / file).read_bytes()
        (run / file).write_bytes(content[: int(share * len(content))])

    DAMAGES[f"{file}: cut"] = Damage(do, message)


def _folder(file: str, message: str) -> None:
    def do(run: Path) -> None:
        (run / file).unlink()
        (run / file).mkdir()

    DAMAGES[f"{file}: a folder"] = Damage(do, message)


def _table(name: str, message: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    def do(run: Path) -> None:
        change(pd.read_parquet(run / "scores.parquet")).to_parquet(run / "scores.parquet", index=False)

    DAMAGES[f"table: {name}"] = Damage(do, message)


def _array(name: str, array: str, message: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    def do(run: Path) -> None:
        file = run / "arrays" / f"{array}.npy"
        np.save(file, change(np.load(file)), allow_pickle=True)

    DAMAGES[f"arrays: {name}"] = Damage(do, message)


def _sql(name: str, message: str, *statements: str) -> None:
    def do(run: Path) -> None:
        with closing(sqlite3.connect(run / "review.sqlite", isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)

    DAMAGES[f"review: {name}"] = Damage(do, message)


def _foreign_database(run: Path) -> None:
    (run / "review.sqlite").unlink()
    with closing(sqlite3.connect(run / "review.sqlite")) as database:
        database.execute("CREATE TABLE places (url TEXT, visits INTEGER)")
        database.commit()


def _arrays_are_a_file(run: Path) -> None:
    shutil.rmtree(run / "arrays")
    (run / "arrays").write_bytes(b"x")


RECORD = r"run\.json"
_bytes("run.json", "empty", b"", f"{RECORD} is damaged")
_bytes("run.json", "binary", bytes(range(256)), f"{RECORD} is damaged")
_bytes("run.json", "UTF-16", '{"status": "done"}'.encode("utf-16")[:-1], f"{RECORD} is damaged")
_bytes("run.json", "deep", b"[" * 100_000, f"{RECORD} is damaged")
_bytes("run.json", "a list", b"[]", f"{RECORD} holds a list, not the record of a run")
_bytes("run.json", "a number", b"7", f"{RECORD} holds the number 7")
_bytes("run.json", "null", b"null", f"{RECORD} holds nothing")
_bytes("run.json", "of another program", b'{"name": "left-pad", "version": "1.3.0"}', f"{RECORD} does not say how")
_cut("run.json", f"{RECORD} is damaged")
_folder("run.json", "is not a run folder")
_record("newer", "written by a newer version of oga", schema=99)
_record("schema is text", "'schema' is text", schema="2")
_record("classes are text", "'classes' is text, where a list belongs", classes="cat")
_record("classes are numbers", "'classes' is the number 1, where text belongs", classes=[1, 2, 3])
_record("other classes", "given_label.*not one of the classes", classes=["x", "y", "z"])
_record("data is a list", "'data' is a list, where an object belongs", data=[])
_record("data is nowhere", f"{RECORD} does not say where the data lies", data={"path": "", "fingerprint": "x"})
_record("data has moved", "There is no file or folder 'gone.csv'", data={"path": "gone.csv", "fingerprint": "x"})
_record("unknown option", r"'colour'.*Score the data again", data={"path": "DATA", "options": {"colour": "red"}})
_record("option of another type", "max_samples", data={"path": "DATA", "options": {"max_samples": "many"}})
_record("default score is a number", "'default_score' is the number 3, where text belongs", default_score=3)
_record("default score is absent", "the default score 'oga'.* is not in", default_score="oga")
_record("other number of samples", r"6 rows.*7", n_samples=7)
_record("number of samples is text", "'n_samples' is text", n_samples="6")
_record("trim fraction above 1", "'suggested_trim_fraction' is the number 7, where", suggested_trim_fraction=7)
_record(
    "trim fraction not a number", "'suggested_trim_fraction' is the number nan", suggested_trim_fraction=float("nan")
)
_record("noise rate is text", "'noise_rate' is text", noise_rate="much")
_record("noise rate above 1", "'rate' is the number 3", noise_rate={"rate": 3, "low": 0, "high": 1})
_record("problems are an object", "'problems' is an object, where a list belongs", problems={})
_record("versions are numbers", "'versions' is the number 3, where text belongs", versions={"oga": 3})
_record("warnings are numbers", "'warnings' is the number 3, where text belongs", warnings=[3])
_record("unknown modality", "'modality' is 'sound'", modality="sound")

TABLE = r"scores\.parquet"
_bytes("scores.parquet", "empty", b"", f"{TABLE} is damaged")
_bytes("scores.parquet", "text", b"sample_id,score_loss\n0,1\n", f"{TABLE} is damaged")
_cut("scores.parquet", f"{TABLE} is damaged")
_folder("scores.parquet", "has no scores")
_table("no ids", f"{TABLE} has no column 'sample_id'", lambda table: table.drop(columns="sample_id"))
_table("an id twice", f"{TABLE} has the id '0' more than once", lambda table: table.assign(sample_id=["0"] * 6))
_table("missing ids", f"{TABLE} has rows without", lambda table: table.assign(sample_id=[None, *"12345"]))
_table("a row less", "5 rows.*6", lambda table: table.iloc[:5])
_table("no rows", "has no samples", lambda table: table.iloc[:0])
_table("strange ids", "'zz'.*not in", lambda table: table.assign(sample_id=["zz", *"12345"]))
_table("a score of text", "'score_loss'.*must be numbers", lambda table: table.assign(score_loss=list("abcdef")))
_table("no scores", "has no scores", lambda table: table.drop(columns="score_loss"))
_table("a map of text", "'map_x'.*must be numbers", lambda table: table.assign(map_x=list("abcdef")))
_table("a strange label", "given_label.*'fox'", lambda table: table.assign(given_label=["fox"] * 6))

ARRAYS = r"arrays"
_cut("arrays/sketch.npy", f"{ARRAYS}.*damaged")
_bytes("arrays/logits.npy", "empty", b"", f"{ARRAYS}.*damaged")
_bytes("arrays/sketch.npy", "text", b"no array", f"{ARRAYS}.*damaged")
_array("a row less", "losses", f"{ARRAYS}.*losses.*5.*6", lambda array: array[:5])
_array("other classes", "logits", f"{ARRAYS}.*logits.*2.*3", lambda array: array[:, :2])
_array("objects", "losses", f"{ARRAYS}.*damaged", lambda array: np.array([print] * 6, dtype=object))
_array("text", "sketch", f"{ARRAYS}.*sketch.*numbers", lambda array: array.astype(str))
DAMAGES["arrays: sketch missing"] = Damage(lambda run: (run / "arrays" / "sketch.npy").unlink(), f"{ARRAYS}.*sketch")
DAMAGES["arrays: a file"] = Damage(_arrays_are_a_file, f"{ARRAYS}.*missing")

REVIEW = r"review\.sqlite"
_bytes("review.sqlite", "text", b"no database" * 100, f"{REVIEW} cannot be used for decisions")
_cut("review.sqlite", f"{REVIEW} cannot be used for decisions", 0.3)
_folder("review.sqlite", f"{REVIEW} cannot be used for decisions")
DAMAGES["review: of another program"] = Damage(_foreign_database, f"{REVIEW} .*another program")
_sql("unknown action", f"{REVIEW} holds the action 'burn'", "UPDATE current SET action = 'burn'")
_sql("relabel to nothing", f"{REVIEW} .*relabel", "UPDATE current SET new_label = NULL WHERE action = 'relabel'")
_sql("number for a label", f"{REVIEW} .*new_label", "UPDATE current SET new_label = x'00ff' WHERE action = 'relabel'")
_sql("newer", f"{REVIEW} was written by a newer version", "PRAGMA user_version = 99")
_sql("a column less", f"{REVIEW} cannot be used", "ALTER TABLE current DROP COLUMN note")
_sql("a column more", f"{REVIEW} cannot be used", "ALTER TABLE decisions ADD COLUMN mood TEXT")
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
_sql(
    "a view without an end",
    f"{REVIEW} cannot be used for decisions: 'current' in it computes",
    "DROP TABLE current",
    f"CREATE VIEW current AS {FOREVER} SELECT i AS sample_id, 'a' AS reviewer, 0 AS settled, i AS step, "
    "'keep' AS action, NULL AS new_label, '' AS note, '' AS time FROM n",
)
_sql(
    "a trigger",
    f"{REVIEW} cannot be used for decisions: 'more' in it computes",
    "CREATE TRIGGER more AFTER INSERT ON steps BEGIN DELETE FROM current; END",
)
