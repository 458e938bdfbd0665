"""Grids: the default one, combinations, files."""

import json

import pytest

from subemb.base.errors import InputError
from subemb.codec.estimates import estimate_seconds, predicted_size
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings
from subemb.sweep.grid import LONGEST, default_grid, grid_of, read_grid


@pytest.mark.slow
def test_the_default_grid_has_40_settings_over_all_methods_and_sizes():
    grid = default_grid(30_522, 384)
    assert len(grid) == len(set(grid)) == 40
    assert {settings.method for settings in grid} == set(METHODS)
    assert all(settings == settings.resolve(30_522, 384) for settings in grid)
    assert all(estimate_seconds(settings, 30_522, 384) <= LONGEST for settings in grid)
    shares = [predicted_size(settings, 30_522, 384).total_share for settings in grid]
    for low, high in ((0, 0.003), (0.003, 0.01), (0.01, 0.05), (0.05, 0.3)):
        assert sum(low < share <= high for share in shares) >= 4


@pytest.mark.slow
def test_with_a_network_sensitive_codes_are_tried_too():
    able = {name for name, method in METHODS.items() if method.can_be_sensitive}
    assert not any(settings.sensitive for settings in default_grid(30_522, 384))
    grid = default_grid(30_522, 384, has_network=True)
    assert {settings.method for settings in grid if settings.sensitive} == able
    assert sum(settings.budget is not None and settings.keep is not None for settings in grid) >= 3  # rows that others borrow


def test_a_small_table_gets_what_there_is():
    grid = default_grid(30, 4)
    assert 0 < len(grid) == len(set(grid)) <= 40


def test_a_method_takes_part_in_what_it_reads():
    grid = grid_of({"method": ["product", "int8"], "subspaces": [3, 8], "codebook_size": [16, 32], "seed": [0, 1]})
    assert [settings.method for settings in grid].count("product") == 8
    assert [settings.method for settings in grid].count("int8") == 2


def test_without_methods_all_that_read_one_of_the_values_take_part():
    methods = {settings.method for settings in grid_of({"rank": [4]})}
    assert methods == {name for name, method in METHODS.items() if "rank" in method.reads}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"widgets": [1]}, "'widgets', which is no setting"),
        ({"subspaces": []}, "subspaces is []"),
        ({"methods": ["magic"]}, "unknown method 'magic'"),
        ({"subspaces": [0]}, "subspaces is 0"),
        ([], "holds no grid"),
        ("product", "holds no grid"),
        ([{"method": "product"}, {"method": "product", "subspaces": "many"}], "entry 2"),
        ({"subspaces": list(range(1, 300)), "codebook_size": list(range(1, 300))}, "over 20,000 settings"),
    ],
)
def test_what_is_wrong_with_a_grid_file_is_said(tmp_path, content, said):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=said.replace("[", r"\[").replace("]", r"\]")):
        read_grid(path)


def test_both_forms_of_a_grid_file(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps([{"method": "product", "subspaces": 8}, {"method": "product", "subspaces": 8}]))
    assert read_grid(path) == [CompressionSettings("product", subspaces=8)]
    path.write_text(json.dumps({"methods": ["low_rank"], "ranks": [1, 2], "seed": 5}))
    assert read_grid(path) == [CompressionSettings("low_rank", rank=rank, seed=5) for rank in (1, 2)]
