"""The command line: what every command does, says and returns, in the process and as a process."""

import argparse
import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import WORDS, make_bert, make_sentence_model

from subemb import __version__
from subemb.base.progress import Progress
from subemb.cli import main, parser
from subemb.commands.text import ProgressLine, inspection_text, models_text, progress_text

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
V, D = 400, 24


def words(count: int) -> list[str]:
    hostile = ["<b>x</b>", "\x1b[31mred", "##ing"]
    return SPECIAL + hostile + [f"word{i}" for i in range(count - len(SPECIAL) - len(hostile))]


def save_model(folder: Path, count: int = V, dim: int = D, seed: int = 0) -> Path:
    """A checkpoint folder with a clustered random table and a WordPiece tokenizer."""
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, dim, generator=generator)
    table = centres[torch.randint(20, (count,), generator=generator)] + 0.3 * torch.randn(count, dim, generator=generator)
    save_file({"embeddings.word_embeddings.weight": table}, folder / "model.safetensors", {"format": "pt"})
    config = {"model_type": "bert", "vocab_size": count, "hidden_size": dim, "num_hidden_layers": 1, "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(words(count))}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "out"
    options = ["-f", "2", "-q", "30", "--weights", "none", "--quiet"]
    assert main(["compress", model, *options, "-o", str(folder)]) == 0
    return folder


def run_json(capsys, *arguments: str):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# compress


def test_compress_reports_sizes_and_quality(model, capsys, tmp_path):
    report = run_json(capsys, "compress", model, "-f", "3", "-o", str(tmp_path / "out"))
    assert report["settings"]["codebook_size"] == 8  # 8 ** 3 = 512 is the first cube of at least 400
    assert report["size"]["codebook_parameters"] == 8 * D
    assert report["size"]["code_bits"] == V * 3 * 3
    assert report["quality"]["distinct_tuples"] == V
    assert report["quality"]["colliding_tokens"] == 0
    assert 0 < report["quality"]["relative_error"] < 1
    assert report["saved"] == str(tmp_path / "out")


@pytest.mark.slow
def test_compress_saves_what_it_reports(model, saved):
    import subemb
    from subemb.codec.loading import load

    from_disk = load(saved)
    computed = subemb.compress(subemb.load(model).table, "cluster", 2, 30, weights="none")
    assert torch.equal(from_disk.codes, computed.codes)
    assert all(torch.equal(a, b) for a, b in zip(from_disk.codebooks, computed.codebooks, strict=True))
    assert json.loads((saved / "config.json").read_text())["model"]["name"] == model


@pytest.mark.slow
def test_report_for_people_has_the_numbers_of_the_report_for_programs(model, capsys):
    report = run_json(capsys, "compress", model, "--method", "product", "-f", "4", "-q", "16")
    assert main(["compress", model, "--method", "product", "-f", "4", "-q", "16"]) == 0
    out, err = capsys.readouterr()
    assert f"{report['quality']['relative_error']:.3f}" in out
    assert f"{report['quality']['mean_cosine']:.3f}" in out
    assert f"{report['size']['codebook_parameters']} numbers, 32 bits each" in out
    assert "not saved" in out
    assert err == ""  # no terminal, no progress bar


@pytest.mark.slow
def test_quiet_says_nothing(model, tmp_path, capsys):
    assert main(["compress", model, "-f", "2", "--quiet", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "out" / "config.json").is_file()


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    "options",
    [
        ["--method", "arbitrary"],
        ["--method", "random", "--seed", "3"],
        ["--method", "product", "--unique", "-f", "3", "-q", "10"],
        ["--method", "cluster", "--no-unique", "--iterations", "3", "--tolerance", "0"],
        ["--method", "optimized_product", "-f", "2", "-q", "16"],
        ["--method", "residual", "-f", "2", "-q", "16"],
        ["--method", "low_rank", "--rank", "2"],
        ["--budget", "40%"],
        ["--tiers", "5:2x4,*:1x2"],
        ["--method", "int8"],
        ["--method", "int4"],
        ["--weights", "zipf"],
        ["--weights", "vocabulary"],
    ],
    ids=" ".join,
)
def test_every_method_runs_and_saves(model, options, tmp_path, capsys):
    report = run_json(capsys, "compress", model, *options, "-o", str(tmp_path / "out"))
    assert report["quality"]["relative_error"] < 1.01
    assert main(["inspect", str(tmp_path / "out"), "word1"]) == 0


@pytest.mark.slow
def test_counts_of_a_text_change_the_result(model, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("word1 word2 word1 word3\n" * 50, encoding="utf-8")
    plain = run_json(capsys, "compress", model, "-f", "2", "--weights", "none")
    counted = run_json(capsys, "compress", model, "-f", "2", "--weights", "counts", "--text", str(text))
    assert counted["settings"]["text_digest"]
    assert plain["quality"]["weighted_error"] is None
    assert counted["quality"]["weighted_error"] < counted["quality"]["relative_error"]
    assert counted["quality"]["relative_error"] > plain["quality"]["relative_error"]


@pytest.mark.slow
def test_a_frequency_list_weighs_tokens(model, tmp_path, capsys):
    words = tmp_path / "words.txt"
    words.write_text("word1 1000\nword2 50\nword3 2\n", encoding="utf-8")
    listed = run_json(capsys, "compress", model, "-f", "2", "--frequency-list", str(words))
    assert listed["settings"]["weights"] == "list"
    assert listed["settings"]["text_digest"]
    assert listed["quality"]["weighted_error"] < listed["quality"]["relative_error"]


@pytest.mark.slow
def test_sensitive_codes_read_a_text(tmp_path, capsys):
    model = str(make_sentence_model(make_bert(tmp_path / "small", [*SPECIAL, *WORDS])))
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(WORDS[i : i + 3]) for i in range(12)), encoding="utf-8")
    drawn = run_json(capsys, "compress", model, "-f", "2", "--sensitive")
    read = run_json(capsys, "compress", model, "-f", "2", "--sensitive", "--text", str(text))
    assert drawn["settings"]["sensitive"] is read["settings"]["sensitive"] is True
    assert drawn["key"] != read["key"]
    assert 0 < read["quality"]["sensitive_error"] < 1


# what cannot be used


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD = {
    "f over D": (["MODEL", "-f", str(D + 1)], f"from 1 to {D}"),
    "f of zero": (["MODEL", "-f", "0"], "at least 1"),
    "f not a number": (["MODEL", "-f", "three"], "invalid int value"),
    "Q over V": (["MODEL", "-q", str(V + 1)], f"from 1 to {V}"),
    "too few tuples": (["MODEL", "-f", "2", "-q", "5"], "25"),
    "rank over D": (["MODEL", "--method", "low_rank", "--rank", str(D + 1)], f"choose 1 to {D}"),
    "rank without low_rank": (["MODEL", "--rank", "3"], "does not use --rank"),
    "f with int8": (["MODEL", "--method", "int8", "-f", "3"], "does not use --subspaces"),
    "weights with int4": (["MODEL", "--method", "int4", "--weights", "zipf"], "does not use --weights"),
    "unknown method": (["MODEL", "--method", "magic"], "invalid choice: 'magic'"),
    "tolerance over 1": (["MODEL", "--tolerance", "2"], "below 1"),
    "unknown model": (["nobody/nothing-here"], "nobody/nothing-here"),
    "name that is none": (["a//b"], "a//b"),
    "folder that is none": (["./not-there"], "not-there"),
    "folder without a model": (["FOLDER"], "config.json"),
    "output is a file": (["MODEL", "-o", "FILE"], "is a file"),
    "output below a file": (["MODEL", "-o", "FILE/out"], "cannot be written"),
    "output holds other things": (["MODEL", "-o", "FOLDER"], "holds something else"),
    "counts without a text": (["MODEL", "--weights", "counts"], "--text FILE"),
    "text without counts": (["MODEL", "--text", "FILE"], "--weights counts"),
    "list and weights": (["MODEL", "--weights", "zipf", "--frequency-list", "FILE"], "leave --weights zipf out"),
    "list and text": (["MODEL", "--text", "FILE", "--frequency-list", "FILE"], "leave --text out"),
    "weights list without it": (["MODEL", "--weights", "list"], "--frequency-list FILE"),
    "no frequency list": (["MODEL", "--frequency-list", "FILE"], "line 1 of the frequency list is 'words'"),
    "list for int8": (["MODEL", "--method", "int8", "--frequency-list", "FILE"], "int8 does not use --weights"),
    "sensitive int8": (["MODEL", "--method", "int8", "--sensitive"], "int8 does not use --sensitive"),
    "text that is none": (["MODEL", "--weights", "counts", "--text", "not-there.txt"], "No such file"),
    "text is a folder": (["MODEL", "--weights", "counts", "--text", "FOLDER"], "cannot be read"),
    "text is empty": (["MODEL", "--weights", "counts", "--text", "EMPTY"], "is empty"),
    "text is not UTF-8": (["MODEL", "--weights", "counts", "--text", "LATIN"], "0xe9 at position 3"),
}


@pytest.mark.slow_after(12)
@pytest.mark.parametrize(("arguments", "expected"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_code_2(arguments, expected, model, tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "notes.txt", b"mine")
    names = {
        "MODEL": model,
        "FOLDER": str(folder),
        "FILE": str(write(tmp_path / "file", b"words")),
        "EMPTY": str(write(tmp_path / "empty", b" \n")),
        "LATIN": str(write(tmp_path / "latin", "caf\u00e9".encode("latin-1"))),
    }
    names["FILE/out"] = str(tmp_path / "file" / "out")
    try:
        code = main(["compress", *(names.get(argument, argument) for argument in arguments)])
    except SystemExit as left:  # argparse
        code = left.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert expected in err
    assert err.endswith("\n")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_an_older_result_is_replaced_only_by_force(model, tmp_path, capsys):
    line = ["compress", model, "-f", "2", "-q", "30", "--quiet", "-o", str(tmp_path / "out")]
    assert main(line) == 0
    before = (tmp_path / "out" / "config.json").read_bytes()
    assert main([*line, "--method", "product"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "out" / "config.json").read_bytes() == before
    assert main([*line, "--method", "product", "--force"]) == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["settings"]["method"] == "product"


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), [("--compact", "again"), ("--report", "r.html"), ("--onnx", "t.onnx")])
def test_export_replaces_nothing_unasked(saved, form, name, tmp_path, capsys):
    place = tmp_path / name
    if form == "--compact":
        assert main(["export", str(saved), form, str(place), "--quiet"]) == 0
    else:
        write(place, b"mine")
    assert main(["export", str(saved), form, str(place), "--quiet"]) == 2
    assert "--force" in capsys.readouterr().err
    assert form == "--compact" or place.read_bytes() == b"mine"


def test_adapt_replaces_nothing_unasked(saved, capsys):
    assert main(["adapt", str(saved), "--no-text", "--steps", "1", "-o", str(saved), "--quiet"]) == 2
    assert "--force" in capsys.readouterr().err


@pytest.mark.slow
def test_unexpected_disk_trouble_is_no_traceback(model, monkeypatch, tmp_path, capsys):
    from subemb.codec.compressed import Compressed

    def full(*_, **__):
        raise OSError(28, "No space left on device", "out")

    monkeypatch.setattr(Compressed, "save_pretrained", full)
    assert main(["compress", model, "-f", "2", "-o", str(tmp_path / "out"), "--quiet"]) == 2
    assert "No space left on device" in capsys.readouterr().err


# inspect


def test_inspect_agrees_with_the_codes(saved, capsys):
    from subemb.codec.loading import load

    result = load(saved)
    codes, vectors = result.codes.tolist(), result.reconstruct()
    token = run_json(capsys, "inspect", str(saved), "word5", "--limit", "3")["tokens"][0]
    short, whole = ({**token, "codes": list(range(30)), "sharing": [token["sharing"][0]] * 30} for _ in range(2))
    facts = {"model": "m", "settings": "s", "note": ""}
    assert "... and 22 more of 30 subspaces: --all" in (told := inspection_text(facts, [short], 8))
    assert "subspace 7" in told
    assert "subspace 8" not in told
    assert "subspace 29" in inspection_text(facts, [whole])
    i = words(V).index("word5")
    assert (token["id"], token["token"], token["codes"]) == (i, "word5", codes[i])
    for axis, sharing in enumerate(token["sharing"]):
        others = [j for j in range(V) if j != i and codes[j][axis] == codes[i][axis]]
        assert sharing["count"] == len(others)
        assert {other["id"] for other in sharing["tokens"]} <= set(others)
        assert len(sharing["tokens"]) == min(3, len(others))
    assert token["same_tuple"] == {"count": 0, "tokens": []}
    # sharing one of the two codes is the most that unique tuples allow; among those, the nearest vectors come first
    sharing_one = [j for j in range(V) if j != i and (codes[j][0] == codes[i][0]) != (codes[j][1] == codes[i][1])]
    nearest = sorted(sharing_one, key=lambda j: float((vectors[j] - vectors[i]).square().sum()))[:3]
    assert [(other["id"], other["shared"]) for other in token["nearest"]] == [(j, 1) for j in nearest]


def test_inspect_errors_agree_with_the_definition(saved, model, capsys):
    import subemb
    from subemb.codec.loading import load

    table, rebuilt = subemb.load(model).table.double(), load(saved).reconstruct().double()
    token = run_json(capsys, "inspect", str(saved), "#9")["tokens"][0]
    per_token = (table - rebuilt).square().sum(1) / ((table - table.mean(0)).square().sum() / V)
    assert token["error"] == pytest.approx(float(per_token[9]), rel=1e-4)
    assert token["cosine"] == pytest.approx(float(torch.cosine_similarity(table[9], rebuilt[9], dim=0)), abs=1e-5)


def test_inspect_shows_collisions(model, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["compress", model, "--method", "product", "-f", "1", "-q", "2", "-o", out, "--quiet"]) == 0
    token = run_json(capsys, "inspect", out, "word1", "--limit", "2")["tokens"][0]
    assert token["same_tuple"]["count"] == token["sharing"][0]["count"] > 0
    assert len(token["nearest"]) == 2


@pytest.mark.slow
def test_inspect_of_tiers(model, tmp_path, capsys):
    """Only tokens of the same tier are told as sharing codes."""
    from subemb.analysis.parts import parts_of
    from subemb.codec.loading import load

    out = str(tmp_path / "tiers")
    run_json(capsys, "compress", model, "--tiers", "3:int8,8:4x4,*:2x4", "--iterations", "2", "-o", out)
    parts = parts_of(load(out))
    kept, first, second = (run_json(capsys, "inspect", out, f"#{part.ids[0]}")["tokens"][0] for part in parts)
    assert (kept["tier"]["number"], kept["tier"]["kept"], kept["codes"]) == (1, "whole rows in 8 bits", None)
    for token, part in ((first, parts[1]), (second, parts[2])):
        assert token["tier"] == {"number": part.number, "of": 3, "tokens": len(part.ids), "kept": part.form.words}
        assert token["codes"] == part.codes[0].tolist()
        for place, sharing in enumerate(token["sharing"]):
            same = part.ids[part.codes[:, place] == part.codes[0, place]].tolist()
            assert sharing["count"] == len(same) - 1
            assert {other["id"] for other in sharing["tokens"]} <= set(same)
    assert main(["inspect", out, f"#{parts[1].ids[0]}"]) == 0
    assert "tier 2 of 3: 8 tokens, f = 4, Q = 4" in capsys.readouterr().out


def test_inspect_prints_hostile_tokens_as_text(saved, capsys):
    assert main(["inspect", str(saved), "\x1b[31mred", "<b>x</b>"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "⟨U+001B⟩[31mred" in out
    assert "<b>x</b>" in out


def test_inspect_of_an_unknown_token_names_near_ones(saved, capsys):
    assert main(["inspect", str(saved), "WORD39"]) == 2
    assert "word39" in capsys.readouterr().err
    assert main(["inspect", str(saved), f"#{V}"]) == 2
    assert f"#{V - 1}" in capsys.readouterr().err
    assert main(["inspect", str(saved), "word1", "--limit", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_inspect_without_the_model_takes_ids(tmp_path, capsys):
    import shutil

    folder = save_model(tmp_path / "gone", seed=1)
    out = str(tmp_path / "out")
    assert main(["compress", str(folder), "-f", "2", "-o", out, "--quiet"]) == 0
    shutil.rmtree(folder)
    assert main(["inspect", out, "word1"]) == 2
    assert "#1996" in capsys.readouterr().err
    report = run_json(capsys, "inspect", out, "#7")
    assert report["tokens"][0]["token"] is None
    assert len(report["tokens"][0]["codes"]) == 2
    assert "not at hand" in report["facts"]["note"]


@pytest.mark.slow
def test_inspect_sees_that_the_model_changed(tmp_path, capsys):
    import shutil

    folder = save_model(tmp_path / "changing", seed=1)
    out = str(tmp_path / "out")
    assert main(["compress", str(folder), "-f", "2", "-o", out, "--quiet"]) == 0
    shutil.rmtree(folder)
    save_model(folder, seed=2)
    assert run_json(capsys, "inspect", out, "#7")["tokens"][0]["token"] is None


@pytest.mark.parametrize("content", [{}, {"config.json": b"{"}, {"config.json": b"{}"}])
def test_inspect_refuses_what_is_no_result(content, tmp_path, capsys):
    for name, data in content.items():
        write(tmp_path / name, data)
    assert main(["inspect", str(tmp_path), "#1"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert tmp_path.name in err


# models


def test_models_lists_the_bundled_one_and_folders(model, monkeypatch, capsys):
    monkeypatch.setenv("SUBEMB_MODELS", str(Path(model).parent))
    entries = {entry["name"]: entry for entry in run_json(capsys, "models")}
    assert (entries["all-MiniLM-L6-v2"]["vocabulary"], entries["all-MiniLM-L6-v2"]["dim"]) == (30522, 384)
    assert (entries["tiny"]["source"], entries["tiny"]["vocabulary"], entries["tiny"]["dim"]) == ("folder", V, D)
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "30,522" in out
    assert "tiny" in out


def test_models_says_what_is_wrong_with_a_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken").mkdir()
    write(tmp_path / "broken" / "config.json", b"{}")
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path))
    assert main(["models"]) == 0
    assert "broken: " in capsys.readouterr().out.partition("cannot be used:")[2]


def test_models_of_a_hostile_name_stay_on_their_line():
    from subemb.models.catalogue import ModelEntry

    text = models_text([ModelEntry("a\n\x1b[2Jb", "folder", "x", None, 10, 4, 40)])
    assert text.count("\n") == 1
    assert "\x1b" not in text


# progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_that_is_wiped_at_the_end():
    terminal = Terminal()
    with ProgressLine(stream=terminal) as progress:
        progress(Progress("reading", 0.0))
        progress(Progress("k-means", 0.5, {"iteration": 2, "error": 0.75}))
    written = terminal.getvalue()
    assert "\n" not in written
    assert "k-means, iteration 2, error 0.750" in written
    assert written.endswith("\r\x1b[K")


def test_progress_needs_a_terminal():
    stream = io.StringIO()
    with ProgressLine(stream=stream) as progress:
        progress(Progress("reading", 0.0))
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("fraction", "filled"), [(0.0, 0), (1.0, 24), (1.7, 24), (-1.0, 0), (None, 0)])
def test_progress_bar_stays_in_its_frame(fraction, filled):
    assert progress_text(Progress("x", fraction)).startswith("[" + "#" * filled + "." * (24 - filled) + "]")


# as a process


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "subemb", *arguments]


@pytest.mark.slow
def test_version_and_help_by_module():
    done = subprocess.run(command("--version"), capture_output=True, text=True, check=True)
    assert done.stdout == f"subemb {__version__}\n"
    done = subprocess.run(command(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
def test_ctrl_c_ends_compress_cleanly(tmp_path):
    import pty

    folder = save_model(tmp_path / "larger", count=20000, dim=64)
    ours, theirs = pty.openpty()
    endless = ["--method", "product", "-f", "4", "-q", "2000", "--iterations", "1000", "--tolerance", "0"]
    process = subprocess.Popen(
        command("compress", str(folder), *endless, "-o", str(tmp_path / "out")), stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown, told = b"", False
    # Read on to the end: a terminal that nobody reads would make the process wait.
    while piece := read_terminal(ours):
        shown += piece
        if b"iteration" in shown and not told:
            process.send_signal(signal.SIGINT)
            told = True
    assert process.wait(60) == 130
    assert b"stopped" in shown
    assert b"Traceback" not in shown
    assert process.stdout.read() == b""
    assert not (tmp_path / "out").exists()


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE there")
def test_a_reader_that_goes_away_is_no_defect():
    process = subprocess.Popen(command("models"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""


@pytest.mark.slow
def test_app_listens_where_told_and_only_for_this_computer(start_app, tmp_path):
    server = start_app(
        command=command("app", "--no-browser"), cwd=tmp_path, allowed=("Rejecting WebSocket connection with disallowed",)
    )
    assert f"subemb is at http://localhost:{server.port} (Ctrl-C stops it)" in server.log
    assert websocket_status(server.port, f"localhost:{server.port}") == 101
    assert websocket_status(server.port, f"rebound.example:{server.port}") == 403
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0


def websocket_status(port: int, host: str) -> int:
    from http.client import HTTPConnection

    connection = HTTPConnection("localhost", port, timeout=10)
    connection.putrequest("GET", "/_stcore/stream", skip_host=True)
    key = "dGhlIHNhbXBsZSBub25jZQ=="  # any 16 bytes
    headers = {"Host": host, "Origin": f"http://{host}", "Upgrade": "websocket", "Connection": "Upgrade"}
    for name, value in {**headers, "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_app_says_when_its_port_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", "--no-browser", "--port", str(port)]) == 2
        assert f"port {port} on localhost cannot be used" in capsys.readouterr().err
    assert main(["app", "--port", "70000"]) == 2
    assert main(["app", "--host", "not an address"]) == 2
    assert "not an address" in capsys.readouterr().err


def test_app_takes_the_next_free_port(monkeypatch):
    from subemb.commands import app

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(app, "DEFAULT_PORT", taken.getsockname()[1])
        assert app.DEFAULT_PORT < app.free_port("localhost", None) < app.DEFAULT_PORT + 100


# bench


@pytest.mark.slow
def test_bench_compares_with_faiss(tmp_path, capsys):
    pytest.importorskip("faiss")
    folder = save_model(tmp_path / "bench", count=2000, dim=24)
    report = run_json(capsys, "bench", "cluster", "--model", str(folder), "--repeats", "1")
    (result,) = report["results"]
    assert result["name"] == "cluster"
    assert result["ratio"] == pytest.approx(result["seconds"] / result["peer_seconds"])
    assert report["machine"]["threads"] == torch.get_num_threads()
    # the same k-means: both rebuild the table about as well, ours with distinct tuples
    assert 0 < result["peer_error"] < result["error"] < 1
    assert main(["bench", "cluster", "--model", str(folder), "--repeats", "1"]) == 0
    assert "RATIO" in capsys.readouterr().out


def test_bench_without_faiss_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert main(["bench"]) == 2
    assert "pip install faiss-cpu" in capsys.readouterr().err


def test_bench_of_a_table_that_faiss_cannot_cut(model, capsys):
    pytest.importorskip("faiss")
    assert main(["bench", "product-96", "--model", model]) == 2
    assert f"{V} x {D}" in capsys.readouterr().err


# the README


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return action.choices


@pytest.mark.parametrize("name", subcommands())
def test_readme_mentions_every_command_and_option(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    heading = next(line for line in readme.splitlines() if line.startswith("#") and "command line" in line.lower())
    level = heading.split()[0]
    section = readme.partition(f"{heading}\n")[2].partition(f"\n{level} ")[0]
    assert f"subemb {name}" in section
    for action in subcommands()[name]._actions:
        for option in action.option_strings:
            if option not in ("-h", "--help"):
                assert option in section, f"{option} of subemb {name} is not in the README's section {heading!r}"


def test_every_command_has_help(capsys):
    for name in subcommands():
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0
        assert f"subemb {name}" in capsys.readouterr().out
