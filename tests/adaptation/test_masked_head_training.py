"""Masked-word heads that are trained for encoders without one: what they learn, what they leave alone, their files."""

import json

import pytest
import torch
from checkpoints import make_bert, make_sentence_model
from masked_models import questions, sentences, tokens
from masked_models import trained as knowing

import subemb
from subemb.adaptation.masked_head_training import MaskedHeadSettings, of_rank, score_masked, train_masked_head
from subemb.adaptation.settings import AdaptationSettings
from subemb.adaptation.students import Student
from subemb.adaptation.texts import text_of
from subemb.base.errors import InputError, ModelError
from subemb.cli import main
from subemb.evaluate.context.fill import fill
from subemb.models.masked_head import CARD_FILE, MASKED_HEADS, TENSORS_FILE, key_of, read, save, shipped_folder
from subemb.models.masked_network import ChangedLinear, merged_state, network_with, own_body

QUICK = {"tokens": 256, "share": 0.3, "body_rate": 3e-3, "head_rate": 1e-2}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A sentence encoder that knows the made language, and whose files have no head."""
    from transformers import AutoTokenizer, BertModel

    folder = tmp_path_factory.mktemp("headless") / "encoder"
    BertModel.from_pretrained(knowing() / "animals").save_pretrained(folder)
    AutoTokenizer.from_pretrained(knowing() / "animals").save_pretrained(folder)
    return subemb.load(str(make_sentence_model(folder)))


@pytest.fixture(scope="module")
def trained(encoder):
    text = text_of(sentences(), "facts")
    return train_masked_head(encoder, text, MaskedHeadSettings(steps=150, **QUICK), facts={"licences": ["CC0"]})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))


def with_head(encoder, trained):
    """The model opened anew, with the head among the user's."""
    MASKED_HEADS.put(key_of(encoder), trained)
    return subemb.load(encoder.name)


@pytest.mark.slow
def test_it_learns_which_word_stands_where(encoder, trained):
    model = with_head(encoder, trained)
    found = [fill({"original": model}, question).masks[0].top(0)[0].token for question, _ in questions()]
    assert sum(token == right for token, (_, right) in zip(found, questions(), strict=True)) >= 24, found
    assert trained.card["loss"][-1]["loss"] < trained.card["loss"][0]["loss"] / 2


@pytest.mark.slow
def test_products_in_bfloat16_learn_nearly_the_same(encoder):
    text = text_of(sentences(), "facts")
    exact, rough = (
        train_masked_head(encoder, text, MaskedHeadSettings(steps=60, bf16=bf16, **QUICK)) for bf16 in (False, True)
    )
    ends = [head.card["loss"][-1]["loss"] for head in (exact, rough)]
    assert ends[0] != ends[1] == pytest.approx(ends[0], rel=0.1)
    assert ends[1] < rough.card["loss"][0]["loss"] / 1.5
    assert all(tensor.dtype == torch.float32 for tensor in rough.head.values())


@pytest.mark.slow
def test_sentence_vectors_and_the_encoder_stay_as_they_are(encoder, trained):
    before = encoder.encode(["the cat says meow", "a dog lives in the garden"])
    model = with_head(encoder, trained)
    assert model.has_head("masked")
    network = model.network("masked")
    assert (model.encode(["the cat says meow", "a dog lives in the garden"]) == before).all()
    own = dict(model.network().named_parameters())
    for name, parameter in network.base_model.named_parameters():
        assert parameter is own[name], f"{name} is the encoder's own"
        assert parameter.requires_grad, "training a head freezes nothing for others"
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    assert "trained with subemb on 48 sentences" in model.head_note("masked")
    assert encoder.head_note("classifier") == ""


@pytest.mark.slow
def test_the_network_is_what_transformers_computes_with_merged_weights(encoder, trained):
    from transformers import BertForMaskedLM

    network = network_with(encoder, trained)
    plain = BertForMaskedLM(network.config).eval()
    changed = [module for module in network.modules() if isinstance(module, ChangedLinear)]
    assert len(changed) == 6, "four matrices of attention and two of the feed-forward part"
    plain.load_state_dict({name: tensor.detach() for name, tensor in merged_state(network).items()})
    ids = torch.tensor([encoder.tokenizer("the cat says [MASK] .")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(network(input_ids=ids).logits, plain(input_ids=ids).logits, atol=1e-5)


@pytest.mark.slow
def test_a_compressed_table_is_the_decoder_too(encoder, trained):
    model = with_head(encoder, trained)
    small = subemb.attach(model, subemb.compress(model.table, "product", 4, 8))
    network = small.network("masked")
    assert network.attachment.head == "compressed"
    filled = fill({"original": model, "compressed": small}, "the cat says [MASK] .")
    assert filled.tables[1].output
    assert filled.masks[0].kl[1] > 0


@pytest.mark.slow
def test_adaptation_trains_the_encoders_own_weights(encoder, trained):
    model = with_head(encoder, trained)
    compressed = subemb.compress(model.table, "product", 4, 8)
    student = Student(model, compressed, "masked", AdaptationSettings(objective="masked", train="everything"))
    assert not [name for name in student.weights if name.startswith("cls.")], "no file of the model has a place for those"
    name = "encoder.layer.0.intermediate.dense.weight"
    with torch.no_grad():
        student.weights[f"bert.{name}"] += 0.1
    adapted = student.adapted(model)
    assert list(adapted.weights) == [f"bert.{name}"]
    for head in (None, "masked"):
        own = {name.removeprefix("bert."): value for name, value in adapted.network(head).named_parameters()}
        assert torch.equal(own[name], adapted.weights[f"bert.{name}"]), (
            "sentence vectors and masked words see the same training"
        )
    assert adapted.encode(["the cat"]).shape == (1, 32)
    tuned = model.trainable_copy("masked")
    assert (tuned.encode(["the cat"]) == model.encode(["the cat"])).all(), "without the changes that go with the head"
    assert tuned.network().get_input_embeddings().weight is tuned.network("masked").get_input_embeddings().weight


@pytest.mark.slow
def test_it_is_taken_away_as_an_ordinary_checkpoint(encoder, trained, tmp_path, capsys):
    from transformers import AutoModelForMaskedLM

    model = with_head(encoder, trained)
    small = subemb.attach(model, subemb.compress(model.table, "product", 4, 8))
    small.save_pretrained(tmp_path / "small")
    assert main(["export", str(tmp_path / "small"), "--masked", str(tmp_path / "out")]) == 0
    plain = AutoModelForMaskedLM.from_pretrained(tmp_path / "out").eval()
    ids = torch.tensor([encoder.tokenizer("the cat says [MASK] .")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(plain(input_ids=ids).logits, small.network("masked")(input_ids=ids).logits, atol=1e-4)
    assert plain.get_output_embeddings().weight is plain.get_input_embeddings().weight
    assert subemb.load(tmp_path / "out").head_note("masked") == "", "there it is the checkpoint's own"
    assert "trained with subemb" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert main(["export", str(tmp_path / "small"), "--masked", str(tmp_path / "out")]) == 2
    assert "holds something already" in capsys.readouterr().err


@pytest.mark.slow
def test_files_hold_the_head_and_damage_is_named(encoder, tmp_path):
    head = train_masked_head(encoder, text_of(sentences(), "facts"), MaskedHeadSettings(steps=1, **QUICK))
    again = read(save(head, tmp_path / "head"))
    assert again.head.keys() == head.head.keys()
    for name, change in head.changes.items():
        assert torch.allclose(again.changes[name][0], change[0], atol=1e-6), "as it was scored"
    assert again.card["settings"] == head.card["settings"]
    low = MaskedHeadSettings(steps=1, rank=3, **QUICK)
    low = train_masked_head(encoder, text_of(sentences(), "facts"), low)
    assert {part.shape[place] for change in low.changes.values() for place, part in ((1, change[0]), (0, change[1]))} == {3}
    content = (tmp_path / "head" / TENSORS_FILE).read_bytes()
    for damaged, message in ((content[:-9], "cut off or damaged"), (content[:-1] + b"\1", "not the file that")):
        (tmp_path / "head" / TENSORS_FILE).write_bytes(damaged)
        with pytest.raises(InputError, match=message):
            read(tmp_path / "head")
    (tmp_path / "head" / CARD_FILE).write_text('{"subemb_masked_head": 2, "model": {}}', encoding="utf-8")
    with pytest.raises(InputError, match="no card of a masked-word head"):
        read(tmp_path / "head")


@pytest.mark.slow
def test_another_models_head_is_not_taken(encoder, trained, tmp_path):
    other = subemb.load(str(make_sentence_model(make_bert(tmp_path / "other", tokens(), 16))))
    assert not other.has_head("masked")
    MASKED_HEADS.put(key_of(other), trained)
    with pytest.raises(ModelError, match="does not fit its network"):
        subemb.load(other.name).network("masked")


def test_half_a_change_is_the_nearest_of_its_rank():
    change = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
    out, within = of_rank(change, 2)
    assert torch.allclose(out @ within, torch.diag(torch.tensor([3.0, 2.0, 0.0])), atol=1e-6)
    assert of_rank(change, None) == (change,)


@pytest.mark.slow
def test_the_score_counts_right_guesses(encoder, trained):
    """A network that always answers the same token is right as often as that token is masked."""

    class Same(torch.nn.Module):
        config = encoder.network().config

        def __init__(self):
            super().__init__()
            self.base_model = encoder.network()

        def forward(self, input_ids, attention_mask):
            states = self.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
            logits = torch.zeros(*states.shape[:2], encoder.num_tokens)
            logits[..., encoder.tokenizer.convert_tokens_to_ids("cat")] = 1.0
            from types import SimpleNamespace

            return SimpleNamespace(logits=logits)

    text = text_of(
        [*["cat cat cat"] * 1, *[f"cat cat {word} cat" for word in ("the", "dog", "cow", "duck", "pig", "owl", "bee")]]
    )
    score = score_masked(encoder, Same(), text)
    assert score.masked == score.sentences == 8, "one token of each short sentence"
    assert 0.5 <= score.top1 <= 1
    assert score.top1_interval[0] <= score.top1 <= score.top1_interval[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "9"], "layers is 9; this network has 1 layers"),
        (["--steps", "0"], "steps is 0"),
        (["--share", "1"], "share is 1"),
        (["--train-text", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_bad_lines_are_told(encoder, options, message, tmp_path, capsys):
    path = tmp_path / "facts.txt"
    path.write_text("\n".join(sentences()), encoding="utf-8")
    assert main(["train-masked-head", encoder.name, "--train-text", str(path), "--quiet", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_model_that_has_one_or_cannot_is_told(animals):
    with pytest.raises(InputError, match="has a masked-word head of its authors"):
        train_masked_head(animals, text_of(sentences(), "facts"))
    with pytest.raises(InputError, match="a table without a network"):
        train_masked_head(subemb.PretrainedModel.from_table(torch.eye(4)), text_of(sentences(), "facts"))


def test_the_command_trains_keeps_and_reports(encoder, tmp_path, capsys):
    path = tmp_path / "facts.txt"
    path.write_text("\n".join(sentences()[:30]), encoding="utf-8")
    asked = tmp_path / "asked.txt"
    asked.write_text("\n".join(sentences()[20:]), encoding="utf-8")
    line = ["train-masked-head", encoder.name, "--train-text", str(path), "--scored", str(asked), "--steps", "2", "--seed", "3"]
    assert main([*line, "--json", "--licence", "CC0"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["text"]["sentences"] == 20, "what is scored is not learned from"
    assert (card["scores"][0]["name"], card["scores"][0]["sentences"]) == ("asked.txt", 28)
    assert card["licences"] == ["CC0"]
    assert card["command"].startswith("subemb train-masked-head encoder --train-text facts.txt --scored asked.txt")
    assert str(tmp_path) not in json.dumps(card), "a card travels; where things lay does not"
    assert subemb.load(encoder.name).has_head("masked")
    assert main(line) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*line, "--force"]) == 0
    assert "FIRST GUESS" in capsys.readouterr().out


@pytest.mark.slow
def test_the_body_without_the_heads_changes_is_the_encoders(encoder, trained):
    body = own_body(network_with(encoder, trained))
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        assert torch.equal(body(input_ids=ids)[0], encoder.network()(input_ids=ids)[0])


@pytest.mark.slow
def test_the_shipped_head_guesses_words_and_says_what_it_is():
    model = subemb.load("all-MiniLM-L6-v2")
    folder = shipped_folder(model.name, model.source, model.revision)
    assert (folder / TENSORS_FILE).stat().st_size <= 12_000_000
    card = read(folder).card
    assert card["licences"]
    assert {score["name"] for score in card["scores"]} >= {"valid.txt", "sts-dev.csv"}
    assert "small" in model.head_note("masked")
    for sentence, word in (("A man is playing a [MASK].", "guitar"), ("The dog ran [MASK] the street.", "across")):
        top = [filling.token for filling in fill({"original": model}, sentence).masks[0].top(0)]
        assert word in top, top
