"""Holds the commands on sentences: every kind of file in, sentences of a chosen class out, errors of one line."""

import csv
import json

import datasets
import pyarrow
import pyarrow.parquet
import pytest

TINY = [
    *("--model.generator_width", "4", "--model.discriminator_width", "8"),
    *("--steps", "2", "--pretraining_steps", "1", "--batch_size", "4", "--tracker", "none"),
]
ROWS = [
    ("the old dog sees a cat", "long"),
    ("a cat sees the old dog", "long"),
    ("the dog sleeps", "short"),
    ("a dog runs", "short"),
    ("the cat runs", "short"),
    ("the old cat sees the dog", "long"),
]
WORDS = set(" ".join(text for text, _ in ROWS).split()) | {"<unk>"}


@pytest.fixture(autouse=True)
def no_bars_of_datasets():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def write(file, rows=ROWS):
    """Sentences and their kinds as a file of the kind that its ending says."""
    columns = {"text": [text for text, _ in rows], "kind": [kind for _, kind in rows]}
    if file.suffix == ".txt":
        file.write_text("".join(text + "\n" for text, _ in rows))
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps({"text": text, "kind": kind}) + "\n" for text, kind in rows))
    elif file.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
    else:
        with file.open("w", newline="") as opened:
            csv.writer(opened).writerows([list(columns), *rows])
    return file


@pytest.fixture
def train(command, tmp_path):
    """Runs `multigan train text` with tiny networks into the folder run."""
    return lambda *flags: command("train", "text", *TINY, "--output", tmp_path / "run", *flags)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of a tiny class-conditional model."""
    from multigan import configure
    from multigan.training import run

    room = tmp_path_factory.mktemp("trained")
    model = {"generator_width": 4, "discriminator_width": 8, "conditional": True, "label_column": "kind"}
    options = {"steps": 2, "pretraining_steps": 1, "batch_size": 4, "log_every": 1, "tracker": "none"}
    file = write(room / "rows.jsonl")
    return run.train(configure("text", dataset=str(file), model=model, output=str(room / "run"), **options))


@pytest.fixture
def generate(command, trained, tmp_path):
    """Runs `multigan generate` with the trained model into the folder out."""
    return lambda *flags: command("generate", "--model", trained, "--out", tmp_path / "out", *flags)


def of_words(text):
    return set(text.split()) <= WORDS


# --- what goes right ---


@pytest.mark.parametrize("ending", [".txt", ".csv", ".jsonl", ".parquet"])
def test_file_of_sentences_trains_and_sentences_come_out(command, train, tmp_path, ending):
    found = train("--dataset", write(tmp_path / f"rows{ending}"))
    assert found.code == 0, found.err
    assert "6 sentences of 3 to 6 tokens" in found.out and "a vocabulary of 10" in found.out
    previews = list((tmp_path / "run" / "samples").iterdir())
    assert previews and all(file.suffix == ".txt" and of_words(file.read_text()) for file in previews)
    found = command("generate", "--model", tmp_path / "run", "-n", 7, "--out", tmp_path / "out")
    assert found.code == 0, found.err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"samples.txt", "preview.txt"}
    lines = (tmp_path / "out" / "samples.txt").read_text().split("\n")
    assert len(lines) == 8 and lines[-1] == "" and all(map(of_words, lines))
    assert (tmp_path / "out" / "preview.txt").read_text() in found.out
    assert (tmp_path / "out" / "preview.txt").read_text().split("\n")[:7] == lines[:7]


def test_lines_that_are_blank_are_left_out_and_counted(train, tmp_path):
    file = write(tmp_path / "rows.txt", [*ROWS, ("", ""), ("  ", ""), *ROWS])
    found = train("--dataset", file)
    assert found.code == 0, found.err
    assert "12 sentences" in found.out and "left out as blank: 2" in found.out


@pytest.mark.parametrize("flags", [[], ["--skip_corrupt", "true"]], ids=["", "skipped"])
def test_csv_with_an_empty_cell_trains_without_it(train, tmp_path, flags):
    found = train("--dataset", write(tmp_path / "rows.csv", [*ROWS[:3], ("", "short"), *ROWS[3:]]), *flags)
    assert found.code == 0, found.err
    assert "6 sentences" in found.out


def test_chosen_class_is_generated_with_its_name(generate, tmp_path):
    found = generate("-n", 5, "--label", "short")
    assert found.code == 0, found.err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"samples.jsonl", "preview.txt"}
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["short"] * 5 and all(of_words(row["text"]) for row in rows)
    assert all(line.startswith("short  ") for line in (tmp_path / "out" / "preview.txt").read_text().splitlines())


def test_what_was_generated_can_be_trained_on(generate, train, tmp_path):
    assert generate("-n", 40, "--label", "long", "--label", "short", "--prefix", "the").code == 0
    found = train("--dataset", tmp_path / "out" / "samples.jsonl", "--model.conditional", "true")
    assert found.code == 0, found.err
    assert "40 sentences" in found.out


def test_prefix_begins_every_sentence(generate, tmp_path):
    found = generate("-n", 40, "--prefix", "the old")
    assert found.code == 0, found.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert all((row["text"] + " ").startswith("the old ") for row in rows)
    assert len({row["text"] for row in rows}) > 5


@pytest.mark.parametrize("flag", [["--temperature", "0.001"], ["--temperature=0.001"]])
def test_at_a_low_temperature_a_class_has_one_sentence(generate, tmp_path, flag):
    found = generate("-n", 20, "--label", "long", *flag)
    assert found.code == 0, found.err
    assert len(set((tmp_path / "out" / "samples.jsonl").read_text().splitlines())) == 1


def test_sentence_does_not_depend_on_how_many_are_made(command, trained, tmp_path):
    made = []
    for count in (3, 40):
        command("generate", "--model", trained, "-n", count, "--label", "long", "--out", tmp_path / str(count))
        made.append((tmp_path / str(count) / "samples.jsonl").read_text().splitlines())
    assert len(made[1]) == 40 and made[1][:3] == made[0]


def test_options_of_one_call_do_not_reach_the_next(trained):
    from multigan import load

    generator = load(trained)
    free = generator.generate(20)
    steered = generator.generate(20, prefix="the old", temperature=0.5)
    assert steered != free and all((text + " ").startswith("the old ") for text in steered)
    assert generator.generate(20) == free


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--temperature", "0"], ["temperature is 0"]),
        (["--temperature", "-1"], ["temperature is -1"]),
        (["--temperature", "hot"], ["temperature", "hot"]),
        (["--temperature", "nan"], ["temperature is nan"]),
        (["--temperature"], ["--temperature has no value: expected a number"]),
        (["--temperature", "--prefix", "the"], ["--temperature has no value"]),
        (["--prefix", "the wyvern sees"], ["'wyvern'"]),
        (["--prefix", "the old dog sees a cat a cat"], ["prefix", "tokens"]),
        (["--temprature", "1"], ["--temprature", "temperature"]),
        (["--lable", "short"], ["--lable", "label"]),
        (["stray"], ["stray"]),
        (["--label", "middling"], ["middling", "long", "short"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_flag_that_cannot_be_used_is_one_line(generate, tmp_path, flags, words):
    message = generate(*flags).error
    assert all(word in message for word in words), message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["rows.txt"]),
        ("\n", ["blank"]),
        (" \n\n\t\n", ["blank"]),
    ],
    ids=["empty", "newline", "blank lines"],
)
def test_file_without_enough_sentences_is_one_line(train, tmp_path, content, words):
    (tmp_path / "rows.txt").write_text(content)
    message = train("--dataset", tmp_path / "rows.txt").error
    assert all(word in message for word in words), message
    assert not (tmp_path / "run").exists()


def test_a_batch_may_have_a_sentence_several_times_and_says_so(train, tmp_path):
    (tmp_path / "rows.txt").write_text("\nthe dog sleeps\n\n")
    said = train("--dataset", tmp_path / "rows.txt").out
    assert "left out as blank: 2" in said and "warning: a batch of 4 has some of the 1 examples several times" in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model.vocabulary_size", 2], ["vocabulary_size is 2"]),
        (["--model.text_column", "number"], ["number", "7"]),
        (["--model.text_column", "verse"], ["verse", "text, kind, number"]),
        (["--model.label_column", "colour"], ["colour"]),
        (["--model.length", 1], ["length is 1"]),
        (["--model.last_temperature", 0], ["last_temperature is 0"]),
        (["--model.architecture", "gru"], ["gru"]),
        (["--model.tokenizer", "letter"], ["letter"]),
        (["--model.tokenizer", "bpe", "--model.vocabulary_size", 100], ["vocabulary_size is 100", "256"]),
        (["--model.discriminator_width", 6], ["discriminator_width is 6", "representations"]),
        (["--model.pretrained", "nobody/nothing"], ["transformer"]),
        (["--model.pretrained", "nobody/nothing", "--model.architecture", "transformer"], ["nobody/nothing"]),
        (["--model.lenght", 5], ["lenght", "length"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_settings_that_cannot_be_used_are_one_line(train, tmp_path, flags, words):
    rows = [json.dumps({"text": text, "kind": kind, "number": 7}) + "\n" for text, kind in ROWS]
    (tmp_path / "rows.jsonl").write_text("".join(rows))
    message = train("--dataset", tmp_path / "rows.jsonl", *flags).error
    assert all(word in message for word in words), message
    assert not (tmp_path / "run").exists()


def test_several_columns_that_could_be_sentences_are_one_line(train, tmp_path):
    (tmp_path / "rows.csv").write_text("size,share\n" + "1,0.5\n" * 6)
    message = train("--dataset", tmp_path / "rows.csv").error
    assert "several columns of text (size, share)" in message and "--model.text_column" in message
    assert not (tmp_path / "run").exists()


def test_label_of_a_model_without_classes_is_one_line(command, train, tmp_path):
    assert train("--dataset", write(tmp_path / "rows.txt")).code == 0
    message = command("generate", "--model", tmp_path / "run", "--label", "long", "--out", tmp_path / "out").error
    assert "no classes" in message and not (tmp_path / "out").exists()


def test_words_of_the_dataset_that_look_like_special_tokens_are_words(train, tmp_path):
    rows = [(text + " <unk> <|end|> <unk>", kind) for text, kind in ROWS]
    found = train("--dataset", write(tmp_path / "rows.txt", rows))
    assert found.code == 0, found.err


@pytest.mark.parametrize("flag", [("--interpolate",), ("--truncation", 0.5)])
def test_there_is_no_walking_between_seeds(command, flag):
    found = command("generate", "--model", "starter/text", *flag)
    assert found.code == 2 and "neither truncation nor interpolation" in found.err
