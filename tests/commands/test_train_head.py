"""``subemb train-head``: what it says, writes and returns."""

import json
import os
import signal
from pathlib import Path

import pytest
from made_language import made_pairs, make_encoder, write_tsv

import subemb
from subemb.cli import main
from subemb.commands.text import ProgressLine
from subemb.evaluate.entailment.engines import engine_for
from subemb.evaluate.entailment.head_files import CARD_FILE, TENSORS_FILE, heads_for, load_head

SMALL = ["--members", "2", "--projected", "32", "--hidden", "16", "--batch-size", "32", "--learning-rate", "0.005"]
QUICK = [*SMALL, "--epochs", "2"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return make_encoder(tmp_path_factory.mktemp("command") / "encoder")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_tsv(tmp_path_factory.mktemp("data") / "ünïcode pairs.tsv", made_pairs(150))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))


def test_a_head_is_trained_saved_and_reported(encoder, data, tmp_path, capsys):
    output = tmp_path / "head"
    arguments = ["train-head", encoder.name, "--data", str(data), *QUICK, "--seed", "3", "--licence", "CC0", "-o", str(output)]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {path.name for path in output.iterdir()} == {TENSORS_FILE, CARD_FILE}
    card = json.loads((output / CARD_FILE).read_text(encoding="utf-8"))
    assert {name: value for name, value in report.items() if name != "saved"}.items() <= card.items()
    assert report["saved"] == str(output)
    assert card["settings"]["seed"] == 3
    assert card["licences"] == ["CC0"]
    assert card["data"][0]["file"] == "ünïcode pairs.tsv"
    assert card["command"].startswith("subemb train-head encoder --data 'ünïcode pairs.tsv' --seed 3 --epochs 2")
    assert str(tmp_path) not in json.dumps(card), "a card travels; where things lay does not"
    assert str(encoder.folder.parent) not in json.dumps(card)
    head = load_head(output, encoder)
    assert engine_for(encoder, head).probabilities(["the cat sits"], ["a cat sits"]).shape == (1, 3)

    assert main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
    out, err = capsys.readouterr()
    assert f"{report['accuracy'][0]['report_accuracy'] * 100:.1f} %" in out
    assert "ünïcode pairs.tsv" in out
    assert f"saved in {output}" in out
    assert err == ""
    assert json.loads((output / CARD_FILE).read_text(encoding="utf-8")) == card, "equal seeds give equal heads"


@pytest.mark.slow
def test_without_a_place_the_head_is_kept_where_the_pages_look(encoder, data, capsys):
    assert main(["train-head", encoder.name, "--data", str(data), *QUICK, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["train-head", encoder.name, "--data", str(data), str(data), *QUICK, "--no-refit", "--quiet"]) == 0
    names = [head.name for head in heads_for(encoder)]
    assert len(set(names)) == 2, "heads of other data stand beside each other"
    assert all(name.startswith("encoder-") for name in names)
    assert engine_for(subemb.load(encoder.name)).name == f"entailment head {names[0]}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--validation-share", "0.9"], "validation_share is 0.9"),
        (["--data", "missing.tsv"], "missing.tsv"),
        (["-o", "DATA"], "is a file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_said_in_one_line(encoder, data, change, message, capsys):
    change = [str(data) if word == "DATA" else word for word in change]
    assert main(["train-head", encoder.name, "--data", str(data), *SMALL, *change]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_data_without_three_labels_is_refused(encoder, tmp_path, capsys):
    some = made_pairs(60)
    path = write_tsv(tmp_path / "some.tsv", some.select(some.gold != 2))
    assert main(["train-head", encoder.name, "--data", str(path), *QUICK]) == 2
    assert "contradiction" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["train-head", encoder.name])
    assert left.value.code == 2


@pytest.mark.slow
def test_ctrl_c_stops_the_training(encoder, data, tmp_path, monkeypatch, capsys):
    draw = ProgressLine.__call__

    def interrupting(self, message):
        if message.values.get("epoch") == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(self, message)

    monkeypatch.setattr(ProgressLine, "__call__", interrupting)
    output = tmp_path / "head"
    assert main(["train-head", encoder.name, "--data", str(data), *SMALL, "--epochs", "500", "-o", str(output)]) == 130
    assert capsys.readouterr() == ("", "stopped\n")
    assert not output.exists()
