from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import catalogue, worlds
from pipeline.errors import DataError, InputError
from pipeline.paths import share
from pipeline.types import ItemsKey

KEY = ItemsKey(lab_seed=5)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty catalogue; call it with a file name and an entry to add one."""
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path)

    def add(file, **entry):
        path = tmp_path / file
        path.write_text(yaml.safe_dump({"kind": "chat", "summary": "Some rows.", **entry}))
        return path

    return add


# ---------------------------------------------------------------- what ships


@pytest.mark.parametrize("path", sorted((share("recipes") / "data").iterdir()), ids=lambda path: path.name)
def test_every_file_of_the_catalogue_is_an_entry_named_like_its_file(path):
    found = [entry for entry in catalogue.entries() if entry.file == path]
    assert [entry.name for entry in found] == [path.stem]
    assert found[0].summary.endswith(".") and found[0].kind


@pytest.mark.parametrize("entry", [e for e in catalogue.entries() if isinstance(e, catalogue.WorldEntry)], ids=str)
def test_an_entry_of_a_world_lists_all_its_sources(entry):
    assert entry.sources == worlds.get(entry.world).sources(lab_seed=0) >= 8


@pytest.mark.parametrize("name", [name for name, s in catalogue.all_sources().items() if s.index])
def test_every_generated_source_has_a_card_and_usable_rows(name):
    card = catalogue.card(name, KEY)
    assert card.rows == len(catalogue.rows(name, KEY)) > 100
    assert len(card.samples) == 3 and card.columns and card.mean_characters > 10
    assert all(catalogue.to_messages(row)[-1]["role"] == "assistant" for row in catalogue.rows(name, KEY))


def test_a_card_says_nothing_of_a_source_s_role_or_rightness():
    cards = catalogue.sources(KEY, ["maths"])
    assert [card.name for card in cards] == [f"maths_{i}" for i in range(1, 9)]
    assert {(card.kind, card.summary) for card in cards} == {(cards[0].kind, cards[0].summary)}
    roles = worlds.common.ROLES
    for card in cards:
        shown = {**card.model_dump(), "samples": ()}
        assert not any(role in str(value).lower().split() for role in (*roles, "leak") for value in shown.values())


def test_a_card_is_the_same_in_every_process_and_differs_by_lab():
    code = (
        "from pipeline import catalogue; from pipeline.types import ItemsKey; from pipeline.paths import digest\n"
        "print(digest(catalogue.card('facts_3', ItemsKey(lab_seed=5)).model_dump()))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != ""
    assert catalogue.card("facts_3", KEY).samples != catalogue.card("facts_3", ItemsKey(lab_seed=6)).samples


def test_names_reads_no_data_and_knows_kinds():
    assert catalogue.names("calls") == [f"calls_{i}" for i in range(1, 9)]
    assert set(catalogue.names()) >= {"maths_1", "calls_1", "facts_8"}


def test_an_unknown_source_lists_what_exists():
    with pytest.raises(InputError, match="unknown data source 'maths_12': did you mean maths_"):
        catalogue.rows("maths_12", KEY)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("absolute", [False, True])
def test_a_file_s_rows_are_read_and_its_columns_renamed(shelf, tmp_path, absolute):
    (tmp_path / "mine.csv").write_text("Body,Result,id\n1 + 1,2,a\n")
    path = str(tmp_path / "mine.csv") if absolute else "mine.csv"
    shelf("mine.yaml", name="mine", loader="file", path=path, columns={"question": "Body", "answer": "Result"})
    assert catalogue.rows("mine", KEY) == [{"question": "1 + 1", "answer": "2", "id": "a"}]
    assert catalogue.card("mine", KEY).kind == "chat"


def test_long_texts_and_lists_are_clipped_on_a_card(shelf, tmp_path):
    (tmp_path / "long.jsonl").write_text(json.dumps({"text": "x" * 5000, "input_ids": list(range(500))}))
    shelf("long.yaml", name="long", loader="file", path="long.jsonl")
    card = catalogue.card("long", KEY)
    assert card.mean_characters == 5000 and card.rows == 1
    sample = card.samples[0]
    assert sample["text"] == "x" * 300 + " ..." and sample["input_ids"][-1] == "... 492 more"


def test_a_source_that_no_layout_fits_still_has_a_card(shelf, tmp_path):
    (tmp_path / "odd.jsonl").write_text('{"a": "12345"}\n{"b": {"c": "123"}}\n')
    shelf("odd.yaml", name="odd", loader="file", path="odd.jsonl")
    card = catalogue.card("odd", KEY)
    assert (card.columns, card.mean_characters) == (("a", "b"), 4.0)


def test_a_missing_file_is_an_error_of_the_data(shelf):
    shelf("gone.yaml", name="gone", loader="file", path="gone.jsonl")
    with pytest.raises(DataError, match="gone.jsonl: no such file"):
        catalogue.rows("gone", KEY)


# ---------------------------------------------------------------- the Hub


def test_a_hub_source_is_read_by_the_datasets_library(shelf, tmp_path):
    folder = tmp_path / "repository"  # a folder in the place of a Hub id goes the same way
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"q": "a", "answer": "b"}\n{"q": "c", "answer": "d"}\n')
    shelf("hub.yaml", name="hub", loader="hub", id=str(folder), columns={"question": "q"}, rows=1)
    assert catalogue.rows("hub", KEY) == [{"question": "a", "answer": "b"}]


def test_a_hub_source_that_cannot_be_read_is_an_error_of_one_line(shelf):
    shelf("hub.yaml", name="hub", loader="hub", id="nobody/nothing-here")
    with pytest.raises(DataError, match="^hub: the Hub data set nobody/nothing-here cannot be read [^\n]*$"):
        catalogue.rows("hub", KEY)


def test_a_hub_source_is_at_hand_unless_a_folder_of_copies_lacks_it(shelf, tmp_path, monkeypatch):
    shelf("a.yaml", name="copied", loader="hub", id="x/y", copy_file="y/train.jsonl")
    shelf("b.yaml", name="missing", loader="hub", id="x/z")
    shelf("c.yaml", name="file", loader="file", path="rows.csv")
    monkeypatch.delenv("POSTTRAIN_DATA_ROOT", raising=False)
    assert all(map(catalogue.at_hand, ("copied", "missing", "file")))
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "train.jsonl").write_text('{"question": "a", "answer": "b"}')
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path))
    assert [catalogue.at_hand(name) for name in ("copied", "missing", "file")] == [True, False, True]
    assert catalogue.copy_of("missing") == tmp_path / "x" / "z" and catalogue.copy_of("file") is None


def test_only_a_pinned_revision_is_known_without_reading_it(shelf, tmp_path):
    shelf("a.yaml", name="moving", loader="hub", id="x/y", revision="main")
    shelf("b.yaml", name="pinned", loader="hub", id="x/y", revision="0" * 40)
    shelf("c.yaml", name="file", loader="file", path="rows.csv")
    assert catalogue.stamp("moving", KEY) is None
    assert "0" * 40 in catalogue.stamp("pinned", KEY)
    assert catalogue.stamp("file", KEY) is None
    stamps = []
    for content in ("question,answer\n1,2\n", "question,answer\n1,3\n"):
        (tmp_path / "rows.csv").write_text(content)
        stamps.append(catalogue.stamp("file", KEY))
    assert stamps[0] != stamps[1] and None not in stamps


# ---------------------------------------------------------------- wrong entries


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "x", "loader": "web"}, "loader: must be one of world, file, hub, generated, task, not 'web'"),
        ({"name": "x"}, "loader: must be one of world, file, hub, generated, task, not None"),
        ({"name": "x", "loader": "file"}, "path: is missing"),
        ({"name": "x", "loader": "file", "path": "a.csv", "colour": 1}, "colour: unknown key"),
        ({"name": "../x", "loader": "file", "path": "a.csv"}, "name: "),
        ({"name": "x", "loader": "world", "world": "maths", "sources": 0}, "sources: must be greater than"),
    ],
)
def test_a_wrong_entry_names_its_file_and_key(shelf, entry, said):
    path = shelf("x.yaml", **entry)
    with pytest.raises(InputError) as caught:
        catalogue.names()
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_two_entries_cannot_make_the_same_name(shelf):
    shelf("a.yaml", name="maths", loader="world", world="maths", sources=8)
    shelf("b.yaml", name="maths_3", loader="file", path="a.csv")
    with pytest.raises(InputError, match="source name 'maths_3' is taken by .*a.yaml: rename one"):
        catalogue.names()


def test_reading_the_catalogue_imports_no_heavy_library():
    code = (
        "import sys; from pipeline import catalogue, data, benchmarks; from pipeline.types import ItemsKey\n"
        "catalogue.card('maths_1', ItemsKey())\n"
        "assert not {'torch', 'datasets', 'transformers', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
