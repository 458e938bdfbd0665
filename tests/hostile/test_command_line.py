"""What the command line says of input that cannot be used: one line, exit code 2, and nothing that a terminal would obey."""

import os
import shutil
from pathlib import Path

import pytest
from checkpoints import make_bert

from subemb.cli import main
from subemb.commands.outputs import RESULT_FILE

LONG = "x" * 5000
ESCAPE = "\x1b[31mred"
BYTE = "\udcff"  # how an argument with the byte 0xFF arrives
SNOWMEN = "☃" * 70
MODEL, OUT, PAIRS = "MODEL", "out", "pairs.csv"  # stand-ins for what ``folder`` has
COMPRESS = ("compress", MODEL, "-f", "2", "--quiet")
SIMILARITY = ("evaluate", "similarity", MODEL, "--quiet")
FILL = ("evaluate", "fill-mask", MODEL, "--quiet")
ADAPT = ("adapt", OUT, "--steps", "1", "--quiet", "-o", "adapted")
HEAD = ("train-head", MODEL, "--quiet")
COUNTED = (*COMPRESS, "--weights", "counts", "--text")
SWEEP = ("sweep", MODEL, "--no-scores", "--quiet")

#: Words of the message, and the line.
BAD = [
    # names of models
    ("begins with a user whom this computer does not know", ("compress", "~nouser/x", "-f", "2")),
    ("begins with a user", ("compress", "~nouser", "-f", "2")),
    ("begins with a user", ("evaluate", "similarity", "~nouser/x", "--pair", "a", "b")),
    ("begins with a user", ("export", OUT, "--model", "~nouser/x", "--dense", "new")),
    ("begins with a user", ("train-head", "~nouser/x", "--data", PAIRS)),
    ("begins with a user", ("evaluate", "entailment", MODEL, "--head", "~nouser/x", "--pair", "a", "b")),
    ("is not a model's name", ("compress", "", "-f", "2")),
    ("holds a zero byte", ("compress", "a\0b", "-f", "2")),
    ("too many for a path", ("compress", LONG, "-f", "2")),
    ("too many for a path", ("evaluate", "similarity", "a/" * 3000 + "b", "--pair", "a", "b")),
    ("is not a model's name", ("compress", BYTE, "-f", "2")),
    ("is not a model's name", ("compress", SNOWMEN, "-f", "2")),
    ("is not a model's name", ("compress", ESCAPE, "-f", "2")),
    ("is a file", ("compress", "./words.txt", "-f", "2")),
    ("is not a model's name", ("compress", "org/name\x1b]0;t\x07", "-f", "2")),
    ("is not a folder", ("inspect", ESCAPE, "word")),
    ("holds a zero byte", ("inspect", "a\0b", "word")),
    ("is not a folder", ("inspect", BYTE, "word")),
    ("holds no config.json", ("inspect", "folder", "word")),
    ("is not a folder", ("export", "missing", "--dense", "new")),
    # revisions
    *(("is not a revision", ("compress", "org/name", "--revision", bad)) for bad in ("..", ESCAPE, BYTE, "☃", "a//b")),
    ("leave the revision empty", ("compress", MODEL, "--revision", ESCAPE)),
    # files
    ("no ordinary file", (*COUNTED, "/dev/zero")),
    ("no ordinary file", (*COUNTED, "/dev/null")),
    ("no ordinary file", (*COUNTED, "fifo")),
    ("is a folder", (*COUNTED, "folder")),
    ("is not there", (*COUNTED, "missing")),
    ("holds a zero byte", (*COUNTED, "a\0b")),
    ("too many for a path", (*COUNTED, LONG)),
    ("begins with a user", (*COUNTED, "~nouser/x")),
    ("is empty", (*COUNTED, "blank.txt")),
    ("is not UTF-8 text", (*COUNTED, "binary.txt")),
    ("2.15 GB", (*COUNTED, "huge.txt")),
    ("Too many levels of symbolic links", (*COUNTED, "loop")),
    ("is not there", (*COUNTED, ESCAPE)),
    ("no ordinary file", (*SIMILARITY, "--data", "/dev/zero")),
    ("no ordinary file", (*SIMILARITY, "--data", "fifo")),
    ("is empty", (*SIMILARITY, "--data", "blank.txt")),
    ("is not there", (*SIMILARITY, "--data", BYTE)),
    ("no ordinary file", (*SIMILARITY, "--data", PAIRS, "--words", "/dev/zero")),
    ("no ordinary file", (*FILL, "--data", "/dev/zero")),
    ("no ordinary file", (*ADAPT, "--train-text", "/dev/zero")),
    ("no ordinary file", (*ADAPT, "--no-text", "--scored", "/dev/zero")),
    ("no ordinary file", (*ADAPT, "--objective", "similarity", "--labelled", "fifo")),
    ("no ordinary file", (*HEAD, "--data", "/dev/zero")),
    ("labels are the numbers 1, 2, 3", (*HEAD, "--data", PAIRS)),
    ("no ordinary file", ("bench", "weights", "--data", "/dev/zero")),
    # where to write
    ("is a file", (*COMPRESS, "-o", "words.txt")),
    ("holds something else", (*COMPRESS, "-o", "full")),
    ("holds a zero byte", (*COMPRESS, "-o", "a\0b")),
    ("too many for a path", (*COMPRESS, "-o", LONG)),
    ("is a file", (*COMPRESS, "-o", "/dev/null")),
    ("cannot be written", (*COMPRESS, "-o", "/dev/null/x")),
    ("begins with a user", (*COMPRESS, "-o", "~nouser/x")),
    ("holds a zero byte", ("export", OUT, "--onnx", "a\0b")),
    ("too many for a path", ("export", OUT, "--report", LONG)),
    ("say what to write", ("export", OUT)),
    # numbers
    ("subspaces is 0", ("compress", MODEL, "-f", "0")),
    ("do not fit a table of 16 dimensions", ("compress", MODEL, "-f", "9" * 30)),
    ("invalid int value", ("compress", MODEL, "-f", "nan")),
    ("invalid int value", ("compress", MODEL, "-f", ESCAPE)),
    ("cannot be used with 45 tokens", ("compress", MODEL, "-q", "9" * 20)),
    ("seed is -1", ("compress", MODEL, "--seed", "-1")),
    ("tolerance is nan", ("compress", MODEL, "--tolerance", "nan")),
    ("tolerance is inf", ("compress", MODEL, "--tolerance", "1e400")),
    ("iterations is 0", ("compress", MODEL, "--iterations", "0")),
    ("invalid choice", ("compress", MODEL, "--method", ESCAPE)),
    ("need a text", ("compress", MODEL, "--weights", "counts")),
    ("--limit is 0", (*SIMILARITY, "--data", PAIRS, "--limit", "0")),
    ("--resamples is 0", (*SIMILARITY, "--data", PAIRS, "--resamples", "0")),
    ("--resamples is -5", (*SIMILARITY, "--data", PAIRS, "--resamples", "-5")),
    ("--seed is -1", (*SIMILARITY, "--data", PAIRS, "--seed", "-1")),
    ("seconds is nan", ("adapt", OUT, "--no-text", "-o", "adapted", "--seconds", "nan")),
    # sentences, tokens, columns
    ("surrogate", (*SIMILARITY, "--pair", BYTE, "b")),
    ("surrogate", (*SIMILARITY, "--pair", "\ud800", "\udfff")),
    ("empty", (*SIMILARITY, "--pair", "", "b")),
    ("does not say which column is second", (*SIMILARITY, "--data", PAIRS, "--columns", f"first={ESCAPE}")),
    ("no token", ("inspect", OUT, "no-such-token")),
    ("no token", ("inspect", OUT, ESCAPE)),
    ("there is no row", ("inspect", OUT, "#" + "9" * 30)),
    ("--limit is 0", ("inspect", OUT, "cat", "--limit", "0")),
    # the hub
    ("--hub", (*SIMILARITY, "--hub", "x/y")),
    ("is not", (*SIMILARITY, "--hub", "a\0b", "--split", "x")),
    ("is not", (*SIMILARITY, "--hub", SNOWMEN, "--split", "x")),
    # the server
    ("is not an address", ("app", "--no-browser", "--host", SNOWMEN)),
    ("is not an address", ("app", "--no-browser", "--host", "a\0b")),
    ("is not an address", ("app", "--no-browser", "--host", BYTE)),
    ("the host is empty", ("app", "--no-browser", "--host", "")),
    ("does not exist", ("app", "--no-browser", "--port", "0")),
    ("does not exist", ("app", "--no-browser", "--port", "9" * 30)),
    # grids, claims, tables
    ("more than any table has", (*SWEEP, "--subspaces", "9" * 30)),
    ("is no setting", (*SWEEP, "--grid", "unknown.json")),
    ("nested over 100 levels", (*SWEEP, "--grid", "brackets.json")),
    ("holds no grid", (*SWEEP, "--grid", "empty.json")),
    ("subspaces must be a whole number, not inf", (*SWEEP, "--grid", "infinite.json")),
    ("no ordinary file", (*SWEEP, "--grid", "/dev/zero")),
    ("names nothing", (*SWEEP, "--methods", ",,,")),
    ("--within is nan", ("sweep", MODEL, "--within", "nan")),
    ("is a file", (*SWEEP, "-o", "words.txt")),
    ("is a file", ("reproduce", MODEL, "-o", "words.txt")),
    ("there is no claim 13", ("reproduce", MODEL, "--only", "13")),
    ("a budget of nan minutes", ("reproduce", MODEL, "--minutes", "nan")),
    ("is no folder", ("reproduce", MODEL, "--data", "/dev/zero")),
    ("cannot be written", ("presets", MODEL, "--write", "words.txt")),
    ("cannot be written", ("export", OUT, "--report", "/dev/null/x.html")),
    ("begins with a user", ("compare", OUT, "~nouser")),
    ("too many for a path", ("compare", OUT, LONG)),
    ("is no kept run", ("compare", OUT, "../..")),
    ("is cut off or damaged", ("compare", OUT, "cut")),
    ("no kept run has a key", ("runs", "--delete", "../../x")),
    ("cannot be read", ("compress", MODEL, "--method", "tiered", "--budget", "1e400")),
    ("at most 16 can be kept apart", ("compress", MODEL, "--method", "tiered", "--tiers", "," * 1000)),
    ("threads are not possible", ("bench", "product", "--threads", "9" * 30)),
    # commands
    ("invalid choice", (ESCAPE,)),
    ("unrecognized arguments", ("models", ESCAPE)),
    ("invalid choice", ("bench", ESCAPE)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The current directory of the lines above, with what they name."""
    place = tmp_path_factory.mktemp("commands")
    make_bert(place / MODEL)
    (place / "words.txt").write_text("the cat\nthe dog\n")
    (place / "blank.txt").write_text(" \n")
    (place / "binary.txt").write_bytes(b"\xff\xfe\x00abc\xff")
    (place / PAIRS).write_text("sentence1,sentence2,score\nthe cat,a dog,1\nthe dog,a cat,2\nthe mat,a tree,3\n")
    (place / "folder").mkdir()
    (place / "full").mkdir()
    (place / "full" / "something").write_text("")
    os.mkfifo(place / "fifo")
    (place / "unknown.json").write_text('{"nonsense": [1]}')
    (place / "brackets.json").write_text("[" * 200_000)
    (place / "empty.json").write_text("[]")
    (place / "infinite.json").write_text('{"methods": ["product"], "subspaces": [1e400]}')
    (place / "loop").symlink_to("loop")
    with (place / "huge.txt").open("wb") as file:
        file.truncate(2 << 30)
    before = Path.cwd()
    os.chdir(place)
    assert main(["compress", MODEL, "-f", "2", "-q", "30", "--weights", "none", "--quiet", "-o", OUT]) == 0
    shutil.copytree(OUT, "cut")
    (place / "cut" / RESULT_FILE).write_bytes(b"\x10\0\0\0\0\0\0\0{")
    yield place
    os.chdir(before)


def said(capsys, line: tuple[str, ...]) -> tuple[int, str, str]:
    """Exit code, output and errors of a line."""
    try:
        code = main(list(line))
    except SystemExit as error:  # argparse
        code = error.code
    return (code, *capsys.readouterr())


@pytest.mark.slow_after(25)
@pytest.mark.parametrize(("words", "line"), BAD, ids=[f"{number}-{line[0]!r:.10}" for number, (_, line) in enumerate(BAD)])
def test_bad_input_is_one_line_with_its_remedy(words, line, folder, capsys):
    code, out, err = said(capsys, line)
    assert code == 2, err
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert not obeyed(out + err)


def obeyed(text: str) -> set[str]:
    """Characters that a terminal obeys instead of showing."""
    return {c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000} | (
        set(text) & set("\u202e\u2066\u200f\r")
    )


@pytest.mark.slow
def test_no_token_of_a_stranger_steers_the_terminal(folder, tmp_path, capsys):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\x1b[2J", "a\x07b", "\x9b31m", "\u202eevil", "x\rgone"]
    make_bert(tmp_path / "strange", tokens=tokens)
    saved = str(tmp_path / "saved")
    assert main(["compress", str(tmp_path / "strange"), "-f", "2", "--weights", "none", "--quiet", "-o", saved]) == 0
    for more in ([], ["--json"]):
        code, out, err = said(capsys, ("inspect", saved, "#5", "#6", "#7", "#8", "#9", *more))
        assert code == 0
        assert not obeyed(out + err)


def test_a_report_for_programs_keeps_the_text_as_it_is(capsys):
    import json

    from subemb.commands.terminal import print_json, safe_streams

    text = "\x1b[31m \x7f \x9b \u202e \ud800 é\n"
    with safe_streams():
        print_json({"text": text})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": text}
    assert not obeyed(out)


def test_a_defect_is_one_line_too_and_has_its_own_code(monkeypatch, capsys):
    monkeypatch.setattr("subemb.commands.models.run", lambda given: 1 / 0)
    code, _, err = said(capsys, ("models",))
    assert code == 1
    assert "defect of subemb" in err
    assert "ZeroDivisionError" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("endpoint", ["http://" + SNOWMEN, "http://" + SNOWMEN + ".example", "nonsense", "http://\x1b[31m", ""])
def test_an_address_of_the_hub_that_is_none_is_one_line(endpoint, monkeypatch, capsys):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("subemb.models.hub._SECONDS_TO_ANSWER", 1)
    code, _, err = said(capsys, ("compress", "org/name", "-f", "2"))
    assert code == 2
    assert "the hub cannot be reached" in err or "HF_ENDPOINT" in err
    assert not obeyed(err)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["~nouser/x", "x" * 5000, "/dev/null", "/proc/no/such", "words.txt"])
def test_folders_in_the_environment_that_cannot_be(value, folder, monkeypatch, capsys):
    monkeypatch.setenv("SUBEMB_MODELS", value)
    code, out, _ = said(capsys, ("models",))
    assert code == 0
    assert "all-MiniLM-L6-v2" in out
    assert "is not a folder" in out
    monkeypatch.setenv("SUBEMB_CACHE", value)
    code, out, err = said(capsys, ("compress", MODEL, "-f", "2", "--quiet"))
    assert "Traceback" not in err
