"""Holds how rows become sentences of numbers and back: tokenizers, lengths, what is left out, and pretrained models."""

import functools
import json
import shutil
from collections import Counter

import datasets
import numpy
import pyarrow
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from multigan.errors import UserError
from multigan.modalities.text import Text, TextConfig, data, tokenization

KINDS = ["word", "bpe", "character"]
SIZES = {"word": 100, "bpe": 400, "character": 1000}
TEXTS = ["the old dog sees a cat", "a cat sees the dog", "the dog sleeps", "a dog runs"]

letters = st.characters(exclude_categories=("C", "Z"))
words = st.lists(st.text(letters, min_size=1, max_size=5), min_size=1, max_size=6)
lines = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(str.strip)


def trained(texts=TEXTS, kind="word", size=None, count=1):
    return tokenization.train(iter(texts), kind, size or SIZES[kind], count)


def encoded(text, vocabulary, length=64, drop=False, end=0):
    return tokenization.encode(text, vocabulary, end, length, drop)


def back(rows, vocabulary, end=0):
    return tokenization.decode(numpy.asarray(rows, numpy.int64), vocabulary, end)


def table(**columns):
    return datasets.Dataset.from_dict(columns)


def fitted(dataset, **config):
    """A modality fitted to a dataset, and what it had to say."""
    modality = Text(TextConfig(**config))
    *_, note = modality.fit(dataset)
    return modality, note


def one_line(caught):
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# --- tokenizers ---


@settings(deadline=None, max_examples=25)
@given(text=lines, length=st.integers(30, 40))
@example(text="two\nlines", length=30)
@example(text="\r\n a  b ", length=30)
@example(text="e\u0301 é 👩‍👩‍👧 ñ", length=30)
def test_character_tokenizer_round_trips_any_text_of_its_characters(text, length):
    vocabulary = trained([text], "character")
    assert back([encoded(text, vocabulary, length)], vocabulary) == [text]
    assert tokenization.size(vocabulary) == 2 + len(set(text))


@settings(deadline=None, max_examples=25)
@given(text=lines)
@example(text="two\nlines")
@example(text="\r\n a  b ")
@example(text="e\u0301 é 👩‍👩‍👧 ñ")
def test_bytes_round_trip_any_text(text):
    vocabulary = bpe()
    assert back([encoded(text, vocabulary, 100)], vocabulary) == [text]


@settings(deadline=None, max_examples=25)
@given(found=words)
def test_words_round_trip(found):
    text = " ".join(found)
    vocabulary = trained([text])
    assert tokenization.size(vocabulary) == 2 + len(set(found))
    assert back([encoded(text, vocabulary)], vocabulary) == [text]
    assert back([encoded("\t " + "\n".join(found), vocabulary)], vocabulary) == [text]


@functools.cache
def bpe():
    return trained(kind="bpe")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["a <unk> b", "<unk>", "a <|end|> b", "<|end|>"])
def test_text_that_names_a_special_token_is_text_like_any_other(kind, text):
    vocabulary = trained([text, "a b c"], kind)
    ids = encoded(text, vocabulary)
    assert max(ids.max(), encoded("a b c", vocabulary).max()) < tokenization.size(vocabulary)
    assert back([ids], vocabulary) == [text]


@pytest.mark.parametrize("kind", KINDS)
def test_unlike_words_have_unlike_numbers_and_none_is_the_end(kind):
    vocabulary = trained(kind=kind)
    rows = [encoded(text, vocabulary).tolist() for text in TEXTS]
    assert len({tuple(row) for row in rows}) == len(TEXTS)
    for row in rows:
        first = row.index(0)
        assert first > 0 and set(row[first:]) == {0}
        assert max(row) < tokenization.size(vocabulary)


def test_commonest_words_are_in_the_vocabulary_and_the_others_are_unknown():
    counts = Counter(" ".join(TEXTS).split())
    assert counts.most_common(3) == [("dog", 4), ("the", 3), ("a", 3)]
    vocabulary = trained(size=5)
    assert tokenization.size(vocabulary) == 5
    assert back([encoded("the old dog sees a cat", vocabulary)], vocabulary) == ["the <unk> dog <unk> a <unk>"]


def test_rare_words_are_not_in_the_vocabulary():
    vocabulary = trained(["a a a b b c"], count=2)
    assert tokenization.size(vocabulary) == 4
    assert back([encoded("a b c", vocabulary)], vocabulary) == ["a b <unk>"]


def test_bytes_that_stand_together_are_joined():
    vocabulary = bpe()
    assert (encoded("the dog", vocabulary) != 0).sum() < len("the dog")


@pytest.mark.parametrize("kind", KINDS)
def test_same_sentences_train_the_same_tokenizer(kind):
    assert trained(kind=kind) == trained(kind=kind)


# --- sentences as numbers ---


@settings(deadline=None, max_examples=25)
@given(found=st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), length=st.integers(2, 9))
def test_decoded_sentence_is_the_encoded_one_up_to_the_cut(found, length):
    vocabulary = trained(["a b c d"])
    ids = encoded(" ".join(found), vocabulary, length)
    assert ids.shape == (length,) and (ids[len(found) :] == 0).all()
    assert back([ids], vocabulary) == [" ".join(found[:length])]
    dropped = encoded(" ".join(found), vocabulary, length, drop=True)
    assert dropped is None if len(found) >= length else numpy.array_equal(dropped, ids)


def test_nothing_after_the_first_end_is_decoded():
    vocabulary = trained(["a b c"])
    a, b = encoded("a b", vocabulary, 2)
    assert back([[a, 0, b], [0, a, b], [a, b, 0], [a, b, a]], vocabulary) == ["a", "", "a b", "a b a"]


@pytest.mark.parametrize("text", [None, "", " ", "\n\t "])
def test_blank_row_is_left_out(text):
    assert encoded(text, trained()) is None
    assert encoded(text, bpe()) is None


@pytest.mark.parametrize("cell", [3, 0.5, ["a"], b"a"])
def test_cell_of_another_kind_is_refused_with_the_reason(cell):
    with pytest.raises(ValueError, match=type(cell).__name__):
        encoded(cell, trained())


def test_samples_are_the_corners_of_the_tokens():
    modality, _ = fitted(table(text=TEXTS))
    rows = [modality.encode({"text": text})["real"] for text in TEXTS]
    samples = modality.to_sample(torch.from_numpy(numpy.stack(rows)))
    assert samples.shape == (4, 7, 10) and ((samples == 0) | (samples == 1)).all() and (samples.sum(2) == 1).all()
    assert modality.to_outputs(samples) == TEXTS


# --- what is decided from a dataset ---


@pytest.mark.parametrize(
    ("counts", "length"),
    [
        ([5], 6),
        ([5] * 99 + [50], 6),
        ([5] * 98 + [50] * 2, 51),
        ([1] * 10, 2),
        ([63] * 10, 64),
        ([64] * 10, 64),
        ([500] * 10, 64),
        ([5] * 990 + [500] * 10, 6),
        ([5] * 989 + [500] * 11, 64),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_proposed_length_holds_99_of_100_sentences_and_their_ends(counts, length):
    modality, _ = fitted(table(text=[" ".join(["a"] * count) for count in counts]))
    assert modality.config.length == length


@pytest.mark.parametrize(
    ("overlong", "words"),
    [("truncate", "truncated as too long: 2"), ("drop", "left out as too long: 2")],
)
def test_overlong_rows_are_counted_and_truncated_or_left_out(overlong, words):
    texts = ["a b", "a b c", "a b c d", "a"]
    modality, note = fitted(table(text=texts), length=3, overlong=overlong)
    assert words in note and "4 sentences of 1 to 4 tokens" in note
    rows = [modality.encode({"text": text}) for text in texts]
    found = [modality.to_outputs(modality.to_sample(torch.from_numpy(row["real"])[None]))[0] for row in rows if row]
    assert found == (["a b", "a b c", "a b c", "a"] if overlong == "truncate" else ["a b", "a"])


def test_blank_rows_are_counted_and_left_out():
    modality, note = fitted(table(text=["a b", "", "  ", "c", "\n"]))
    assert "2 sentences" in note and "left out as blank: 3" in note
    assert [modality.encode({"text": text}) is None for text in ("a b", "", "  ", "c", "\n")] == [0, 1, 1, 0, 1]


def test_unknown_words_are_counted():
    # Of 17 words, dog, the and a are 4, 3 and 3, and there is no room for others.
    _, note = fitted(table(text=TEXTS), vocabulary_size=5)
    assert "7 words, 41.2%, are unknown" in note


def test_note_leaves_out_what_does_not_happen():
    _, note = fitted(table(text=TEXTS))
    assert not any(word in note for word in ("blank", "longer", "unknown"))
    assert "4 sentences of 3 to 6 tokens" in note and "as 7 tokens" in note and "a vocabulary of 10" in note


def test_stream_is_read_as_a_dataset_is():
    rows = table(text=TEXTS)
    assert fitted(rows.to_iterable_dataset())[0].config == fitted(rows)[0].config


def test_what_was_set_stays():
    set_by_hand = {"length": 9, "vocabulary": trained(), "text_column": "other"}
    modality, _ = fitted(table(text=["x y"], other=["the dog"]), **set_by_hand)
    assert {name: getattr(modality.config, name) for name in set_by_hand} == set_by_hand


@pytest.mark.parametrize("texts", [[], ["", " "]])
def test_dataset_without_sentences_is_one_line(texts):
    with pytest.raises(UserError) as caught:
        fitted(datasets.Dataset.from_dict({"text": texts}, datasets.Features(text=datasets.Value("string"))))
    assert "blank" in one_line(caught) or "empty" in one_line(caught)


def test_column_that_is_taken_of_several_is_named():
    notes = Text(TextConfig(tokenizer="word")).fit(table(title=["x y"], author=["the dog"]))
    assert len(notes) == 2 and "'title'" in notes[0] and "--model.text_column" in notes[0]
    assert len(Text(TextConfig(tokenizer="word")).fit(table(text=["x y"]))) == 1


def test_labels_are_the_classes_of_the_rows():
    modality, _ = fitted(table(text=["a", "b"], label=["bad", "good"]), conditional=True)
    assert modality.config.classes == ("bad", "good")
    assert modality.encode({"text": "b", "label": "good"})["label"] == 1


# --- columns ---


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": ["a"], "title": ["b"]}, "text"),
        ({"title": ["b"], "sentence": ["a"]}, "sentence"),
        ({"words": ["a"], "number": [3]}, "words"),
        ({"lyrics": ["a"], "words": ["b"]}, "lyrics"),
    ],
)
def test_column_of_a_usual_name_or_the_only_one_of_text_is_found(columns, expected):
    assert data.find_text_column(table(**columns), None) == expected


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()])
def test_column_of_any_kind_of_text_is_found(kind):
    rows = datasets.Dataset(pyarrow.table({"words": pyarrow.array(["a"]).cast(kind), "number": [1]}))
    assert data.find_text_column(rows, None) == "words"


def test_column_that_is_named_is_taken():
    assert data.find_text_column(table(text=["a"], other=["b"]), "other") == "other"


@pytest.mark.parametrize(
    ("columns", "name", "said"),
    [
        ({"words": ["a"], "more": ["b"]}, None, ["several", "words, more", "--model.text_column"]),
        ({"number": [1], "share": [0.5]}, None, ["no column of text", "number, share", "--model.text_column"]),
        ({"text": ["a"]}, "tekst", ["tekst", "text"]),
    ],
)
def test_column_that_cannot_be_found_is_one_line_with_those_there_are(columns, name, said):
    with pytest.raises(UserError) as caught:
        data.find_text_column(table(**columns), name)
    message = one_line(caught)
    assert all(word in message for word in said), message


def test_column_of_something_else_is_one_line():
    with pytest.raises(UserError) as caught:
        fitted(table(text=["a"], number=[17]), text_column="number")
    assert "number" in one_line(caught) and "17" in one_line(caught)


# --- prefixes ---


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_is_the_beginning_of_what_is_encoded(kind):
    vocabulary = trained(kind=kind)
    ids = tokenization.prefix("the dog", vocabulary, 20)
    assert ids == encoded("the dog", vocabulary, 20)[: len(ids)].tolist() and 0 not in ids
    assert tokenization.prefix("", vocabulary, 20) == []


def test_prefix_of_unknown_words_names_them():
    with pytest.raises(UserError) as caught:
        tokenization.prefix("the  wyvern sees Smaug", trained(), 20)
    message = one_line(caught)
    assert "'wyvern'" in message and "'Smaug'" in message and "'the'" not in message and "'sees'" not in message


def test_prefix_that_leaves_no_room_is_refused():
    assert len(tokenization.prefix("the old dog", trained(), 4)) == 3
    with pytest.raises(UserError, match="3 tokens"):
        tokenization.prefix("the old dog", trained(), 3)


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_does_not_end_the_sentence(kind):
    vocabulary = trained(kind=kind)
    try:
        ids = tokenization.prefix("the <|end|> dog", vocabulary, 60)
    except UserError:
        return  # it is said not to be known
    assert 0 not in ids


# --- settings ---


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"vocabulary_size": 2}, "vocabulary_size is 2"),
        ({"tokenizer": "bpe", "vocabulary_size": 256}, "256 bytes"),
        ({"length": 1}, "length is 1"),
        ({"length": 1025}, "length is 1025"),
        ({"minimum_count": 0}, "minimum_count is 0"),
        ({"temperature": 0.05}, "temperature is 0.05"),
        ({"last_temperature": float("nan")}, "last_temperature is nan"),
        ({"temperature_steps": 0}, "temperature_steps is 0"),
        ({"discriminator_width": 10, "representations": 4}, "multiple of representations"),
        ({"pretrained": "gpt2"}, "--model.architecture transformer"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_used_are_refused_at_once(config, word):
    with pytest.raises(UserError, match=word) as caught:
        TextConfig(**config)
    one_line(caught)


# --- pretrained models ---

PLACES = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny GPT-2, as transformers saves it; three rows of its embedding have no token."""
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    coder = Tokenizer(models.BPE())
    coder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    coder.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    coder.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, special_tokens=["<stop>"], show_progress=False),
    )
    folder = tmp_path_factory.mktemp("pretrained") / "tiny"
    fast = PreTrainedTokenizerFast(tokenizer_object=coder, bos_token="<stop>", eos_token="<stop>")
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    ends = {"bos_token_id": fast.eos_token_id, "eos_token_id": fast.eos_token_id}
    config = GPT2Config(vocab_size=len(fast) + 3, n_positions=PLACES, n_embd=8, n_layer=2, n_head=2, **ends)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def started(folder):
    """All that is done with a pretrained model before training begins."""
    modality, _ = fitted(table(text=TEXTS), architecture="transformer", pretrained=folder)
    modality.load_pretrained(modality.generator())


def test_pretrained_model_gives_its_tokenizer_and_its_weights(model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    modality, _ = fitted(table(text=TEXTS), architecture="transformer", pretrained=str(model), length=12)
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    end, text = tokenizer.eos_token_id, TEXTS[0]
    ids = modality.encode({"text": text})["real"]
    expected = tokenizer(text)["input_ids"]
    assert ids.tolist() == (expected + [end] * 12)[:12]
    assert modality.to_outputs(modality.to_sample(torch.from_numpy(ids)[None])) == [tokenizer.decode(expected[:12])]
    network = modality.generator().eval()
    modality.load_pretrained(network)
    rows = torch.from_numpy(ids)[None].long()
    with torch.no_grad():
        logits = theirs(torch.cat([torch.tensor([[end]]), rows[:, :-1]], 1)).logits.log_softmax(2)
        until = min(len(expected) + 1, 12)
        likelihood = logits[0, torch.arange(until), rows[0, :until]].sum()
        torch.testing.assert_close(network.log_likelihood(rows)[0], likelihood)
        samples = network(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    assert samples.shape == (3, 12, theirs.config.vocab_size)
    assert all(isinstance(text, str) for text in modality.to_outputs(samples))


def test_generating_needs_the_pretrained_folder_no_more(model, tmp_path):
    from multigan import configure, load
    from multigan.training import run

    folder = tmp_path / "borrowed"
    shutil.copytree(model, folder)
    (tmp_path / "lines.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS))
    settings = {"architecture": "transformer", "pretrained": str(folder), "length": 8, "discriminator_width": 8}
    options = {"steps": 1, "pretraining_steps": 1, "batch_size": 4, "tracker": "none"}
    done = run.train(
        configure(
            "text",
            dataset=str(tmp_path / "lines.jsonl"),
            model=settings,
            output=str(tmp_path / "run"),
            **options,
        )
    )
    before = load(done).generate(3)
    shutil.rmtree(folder)
    assert load(done).generate(3) == before
    assert all(text.startswith("the dog") for text in load(done).generate(3, prefix="the dog"))


def test_proposed_length_fits_the_pretrained_model(model):
    long = " ".join(TEXTS * 4)
    modality, _ = fitted(table(text=[long]), architecture="transformer", pretrained=str(model))
    assert modality.config.length <= PLACES


def test_length_that_the_pretrained_model_has_no_room_for_is_one_line(model):
    with pytest.raises(UserError) as caught:
        fitted(table(text=TEXTS), architecture="transformer", pretrained=str(model), length=PLACES + 1)
    assert str(PLACES) in one_line(caught)


def test_pretrained_model_that_is_not_to_be_had_is_one_line(tmp_path):
    for name in ("nobody/has-such-a-model", str(tmp_path / "nowhere"), str(tmp_path), "not a name"):
        with pytest.raises(UserError) as caught:
            fitted(table(text=TEXTS), architecture="transformer", pretrained=name)
        assert name in one_line(caught)


def test_pretrained_folder_without_weights_is_one_line(model, tmp_path):
    shutil.copytree(model, tmp_path / "half", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(UserError) as caught:
        started(str(tmp_path / "half"))
    assert str(tmp_path / "half") in one_line(caught)


def test_pretrained_model_of_another_kind_is_one_line(model, tmp_path):
    from transformers import T5Config

    folder = tmp_path / "other"
    shutil.copytree(model, folder)
    T5Config(vocab_size=300, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2).save_pretrained(folder)
    with pytest.raises(UserError) as caught:
        started(str(folder))
    assert str(folder) in one_line(caught)


def test_pretrained_model_that_has_changed_in_its_folder_is_read_again(model, tmp_path):
    from multigan.data.cache import cached

    folder = tmp_path / "changing"
    shutil.copytree(model, folder)
    read = []
    for end in ("<stop>", "a"):
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": end}))
        modality = Text(TextConfig(architecture="transformer", pretrained=str(folder), length=12))
        cached(table(text=TEXTS), modality, False)
        read.append(modality.config.end)
    assert read[0] != read[1]


@pytest.mark.parametrize(
    "settings", [{"vocabulary": "garbage"}, {"vocabulary": "{}"}, {"decoder": "garbage"}, {"decoder": "{}x"}]
)
def test_settings_of_a_damaged_model_are_one_line(settings):
    modality = Text(TextConfig(architecture="transformer", **settings))
    with pytest.raises(UserError, match=next(iter(settings))):
        modality.generator()


def test_decoder_of_an_unknown_kind_is_one_line():
    modality = Text(TextConfig(architecture="transformer", decoder='{"model_type": "nonsense", "vocab_size": 5}'))
    with pytest.raises(UserError, match="no configuration of transformers"):
        modality.generator()


# --- pretrained models that cannot be used ---


def test_model_that_lacks_weights_is_refused(model, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(model, tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "mlp" in name)
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="weights are missing"):
        started(str(folder))


def test_damaged_weights_are_one_line(model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot load a causal language model"):
        started(str(folder))


def test_model_that_scales_what_it_reads_is_refused(model, tmp_path):
    # Its likelihoods would be others than its own, without a word.
    from transformers import GemmaConfig, GemmaForCausalLM

    folder = shutil.copytree(model, tmp_path / "gemma")
    size = {"hidden_size": 16, "intermediate_size": 16, "head_dim": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    GemmaForCausalLM(GemmaConfig(vocab_size=300, **size, **heads)).save_pretrained(folder)
    with pytest.raises(UserError, match="a gemma, which multigan cannot take"):
        started(str(folder))


def test_weights_in_half_precision_are_trained_in_full(model, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "half"
    shutil.copytree(model, folder)
    AutoModelForCausalLM.from_pretrained(model).to(torch.bfloat16).save_pretrained(folder)
    modality, _ = fitted(table(text=TEXTS), architecture="transformer", pretrained=str(folder))
    network = modality.generator()
    modality.load_pretrained(network)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_saved_model_brings_a_tokenizer_for_transformers(model, tmp_path):
    from transformers import AutoTokenizer

    from multigan import TrainedGenerator

    for number, chosen in enumerate(({}, {"architecture": "transformer", "pretrained": str(model)})):
        modality, _ = fitted(table(text=TEXTS), length=12, **chosen)
        folder = TrainedGenerator("text", modality, modality.generator().eval()).save(tmp_path / str(number))
        theirs = AutoTokenizer.from_pretrained(folder)
        ids = theirs(TEXTS[0], truncation=True, padding="max_length", max_length=12)["input_ids"]
        assert ids == modality.encode({"text": TEXTS[0]})["real"].tolist()
        assert theirs.eos_token_id == modality.config.end


def test_pretrained_model_begins_as_it_was_trained_to(model, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "begun"
    shutil.copytree(model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = tokenizer.convert_ids_to_tokens(7)
    tokenizer.save_pretrained(folder)
    modality, _ = fitted(table(text=TEXTS), architecture="transformer", pretrained=str(folder), length=12)
    network = modality.generator().eval()
    modality.load_pretrained(network)
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = torch.full((1, 12), modality.config.end)
    rows[0, 0] = 40
    with torch.no_grad():
        logits = theirs(torch.tensor([[7, 40]])).logits.log_softmax(2)
        expected = logits[0, 0, 40] + logits[0, 1, modality.config.end]
        torch.testing.assert_close(network.log_likelihood(rows)[0], expected)


def test_settings_that_do_not_matter_to_the_vocabulary_read_it_from_the_cache(tmp_path, monkeypatch):
    from multigan.data.cache import cached

    monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path))
    rows = table(text=TEXTS)
    first, other = Text(TextConfig()), Text(TextConfig(temperature=2.0, generator_width=8, architecture="relational"))
    cached(rows, first, False)
    monkeypatch.setattr(Text, "fit", lambda *_: pytest.fail("trained another tokenizer"))
    cached(rows, other, False)
    assert other.config.vocabulary == first.config.vocabulary and other.config.temperature == 2.0
    with pytest.raises(pytest.fail.Exception):
        cached(rows, Text(TextConfig(tokenizer="character")), False)


# --- the tokenizer that is chosen ---


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["Anna", "Boris", "Chen", "Mary Ann"], "character"),
        (["\u4f60\u597d\u4e16\u754c", "\u4eca\u5929\u5929\u6c14\u5f88\u597d"], "character"),
        (["the cat sat", "the dog ran", "a cat ran"], "word"),
        ([f"word{number} thing{number}" for number in range(400)], "bpe"),
    ],
    ids=["names", "Chinese", "English", "rare words"],
)
def test_tokenizer_is_chosen_from_the_lines_and_said(texts, kind):
    modality = Text(TextConfig(vocabulary_size=300))
    note = modality.fit(table(text=texts))[0]
    assert modality.config.tokenizer == kind
    assert f"tokenizer {kind}, because" in note and "--model.tokenizer" in note
    known = [modality.encode({"text": text}) for text in texts]
    assert tokenization.unknown_token(modality.config.vocabulary) not in numpy.concatenate(
        [row["real"] for row in known]
    )


def test_tokenizer_that_is_set_is_kept():
    modality = Text(TextConfig(tokenizer="word"))
    (note,) = modality.fit(table(text=["Anna", "Boris"]))
    assert modality.config.tokenizer == "word" and "because" not in note


def test_grammar_is_of_words():
    kind, reason = tokenization.choose(iter(Text.builtin_datasets["grammar"]()["text"]), 5000)
    assert kind == "word" and reason == "100% of the words are among the 5,000 commonest"
