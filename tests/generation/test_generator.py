"""A trained generator: sample i for ever the same, saved whole or not at all, and nothing wrong loaded in silence."""

import contextlib
import json
import os
import resource
import sys

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures
from safetensors.torch import load_file, save_file

import multigan
from multigan.errors import UserError
from multigan.files import network_tensors
from multigan.generation import generator as generators
from multigan.generation import model_folder
from multigan.generation.generator import TrainedGenerator, class_number, load
from multigan.generation.latents import latent, slerp
from multigan.generation.model_folder import find, newest
from multigan.modalities.image import Image, ImageConfig
from multigan.networks.layout import channels_last

SMALL = {"resolution": 16, "generator_width": 4, "channels": 1, "latent_dim": 8}


def make(seed=0, name="image", **config):
    modality = Image(ImageConfig(**{**SMALL, **config}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = modality.generator()
        channels_last(network)  # as a run's is
        network(torch.randn(16, modality.config.latent_dim), torch.arange(16) % 3)  # running statistics of its own
    return TrainedGenerator(name, modality, network.eval().requires_grad_(False), {"name": "tiny", "steps": 3})


@pytest.fixture(scope="module")
def generator():
    return make(conditional=True, classes=("a", "b", "c"))


@pytest.fixture(scope="module")
def unconditional():
    return make()


@pytest.fixture
def saved(generator, tmp_path):
    return generator.save(tmp_path / "saved")


def samples(generator, n, **options):
    return torch.cat(list(generator.batches(n, **options)))


# --- several classes ---


def test_combination_is_asked_for_by_names_or_numbers():
    several = make(conditional=True, classes=("a", "b", "c"), combinations=("a+c", "b"))
    assert several.conditions("c+a").tolist() == several.conditions("0+2").tolist() == [[1, 0, 1]]
    assert several.conditions(["b", "a+b", "", 2]).tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert several.class_names(5, ["b", "c+a", ""]) == ["b", "a+c", "", "b", "a+c"]
    with pytest.raises(UserError, match="no class 'd'"):
        several.conditions("a+d")


def test_combinations_of_the_data_take_turns_by_default():
    several = make(conditional=True, classes=("a", "b", "c"), combinations=("a+c", "b"))
    assert several.class_names(3) == ["a+c", "b", "a+c"]
    assert torch.equal(samples(several, 3), samples(several, 3, label=["c+a", "b"]))
    assert torch.equal(samples(several, 2, interpolate=True)[:1], samples(several, 1, label="a+c"))


def test_one_class_alone_has_no_combinations(generator):
    with pytest.raises(UserError, match=r"no class 'a\+b'"):
        generator.conditions("a+b")
    assert generator.conditions(["b", 2]).tolist() == [1, 2] and make().conditions() is None


# --- sample i ---


@pytest.mark.parametrize("options", [{}, {"label": "b"}, {"label": ["c", "a"]}, {"truncation": 0.5, "seed": 9}])
def test_sample_i_does_not_depend_on_how_many_are_made(generator, options):
    many = samples(generator, 70, **options)
    assert many.shape == (70, 1, 16, 16)
    for n in (1, 5, 33):
        assert torch.equal(samples(generator, n, **options), many[:n])
    assert len(many.flatten(1).unique(dim=0)) == 70, "no sample is another one again"


def test_labels_are_taken_in_turn(generator):
    # More than a batch, which is no multiple of three: the turn goes on where the batch before ended.
    by_class = {name: samples(generator, 40, label=name) for name in "abc"}
    mixed = samples(generator, 40, label=["c", 0])  # by name and by number
    for i in range(40):
        torch.testing.assert_close(mixed[i], by_class["ca"[i % 2]][i])
    default = samples(generator, 40)
    for i in range(40):
        torch.testing.assert_close(default[i], by_class["abc"[i % 3]][i])
    assert (by_class["a"] - by_class["b"]).abs().max() > 1e-3


def test_the_seed_decides(generator):
    assert torch.equal(samples(generator, 3, seed=4), samples(generator, 3, seed=4))
    assert not torch.equal(samples(generator, 3, seed=4), samples(generator, 3, seed=5))


def test_the_global_random_state_is_neither_read_nor_changed(generator):
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        made.append(samples(generator, 3))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*made)


def test_batches_are_small_and_add_up(unconditional):
    sizes = [len(batch) for batch in unconditional.batches(70)]
    assert sum(sizes) == 70
    assert max(sizes) <= generators.BATCH


def test_generate_gives_pictures_of_the_same_samples(generator):
    pictures = generator.generate(5, label="b")
    assert len(pictures) == 5
    assert all(isinstance(picture, Pictures.Image) and picture.size == (16, 16) for picture in pictures)
    values = numpy.stack([numpy.asarray(picture) for picture in pictures]) / 127.5 - 1
    numpy.testing.assert_allclose(values, samples(generator, 5, label="b")[:, 0].numpy(), atol=1 / 127)


def test_numbers_out_of_range_are_refused_before_the_first_batch(generator):
    for name, value in (("n", 0), ("n", -1), ("seed", -1), ("truncation", -1.0)):
        with pytest.raises(UserError, match=f"{name} is {value}: expected"):
            generator.batches(**{"n": 1, name: value})


def test_a_truncation_of_0_is_refused_where_latents_are_drawn_again(generator, monkeypatch):
    monkeypatch.delattr(generator.network, "truncation")  # as dcgan has none
    with pytest.raises(UserError, match=r"truncation is 0.0: expected more than 0"):
        generator.batches(1, truncation=0.0)


def test_a_truncation_that_is_no_number_is_refused(generator):
    with pytest.raises(UserError, match="truncation"):
        generator.batches(1, truncation=float("nan"))


# --- latents ---


@settings(deadline=None)
@given(seed=st.integers(0, 2**63 - 1), number=st.integers(0, 10**6), truncation=st.floats(0.01, 5))
def test_truncation_keeps_latents_within_bounds_and_moves_each_towards_zero(seed, number, truncation):
    free, near = latent(seed, number, 32, None), latent(seed, number, 32, truncation)
    assert near.dtype == numpy.float32
    assert near.shape == (32,)
    assert (numpy.abs(near) <= truncation * (1 + 1e-5)).all()
    assert (numpy.abs(near) <= numpy.abs(free) + 1e-6).all()
    assert ((numpy.sign(near) == numpy.sign(free)) | (numpy.abs(near) < 1e-6)).all()
    nearer = latent(seed, number, 32, truncation / 2)
    assert (numpy.abs(nearer) <= numpy.abs(near) + 1e-6).all()


def test_latents_are_standard_normal_and_differ():
    drawn = numpy.stack([latent(seed, number, 64, None) for seed in range(4) for number in range(100)])
    assert len(numpy.unique(drawn, axis=0)) == 400
    # 25,600 numbers: the mean is known to about 0.006, and so is the deviation.
    assert drawn.mean() == pytest.approx(0, abs=0.03)
    assert drawn.std() == pytest.approx(1, abs=0.03)
    assert (numpy.abs(drawn) < 1).mean() == pytest.approx(0.6827, abs=0.02)


def test_a_truncated_latent_is_the_normal_one_cut_off():
    # The quantile u of the normal between -t and t is the quantile P(-t) + (1 - 2 P(-t)) u of the whole one.
    from statistics import NormalDist

    normal = NormalDist()
    for x, found in zip(latent(1, 2, 16, None).tolist(), latent(1, 2, 16, 0.7).tolist(), strict=True):
        low = normal.cdf(-0.7)
        assert found == pytest.approx(normal.inv_cdf(low + (1 - 2 * low) * normal.cdf(x)), abs=1e-5)


@pytest.mark.parametrize("seed", [2**62, 2**63 - 2, 2**63, 2**64 - 2, 2**64, 2**100])
def test_large_seeds_differ_or_are_refused(unconditional, seed):
    made = []
    for value in (seed, seed + 1):
        with contextlib.suppress(UserError):  # any other error is ours, not the user's
            made.append(samples(unconditional, 1, seed=value))
    assert len(made) < 2 or not torch.equal(*made)
    assert made or seed >= 2**63, "what training takes for a seed, generating takes too"


# --- walks ---


def test_slerp_ends_at_its_ends_and_keeps_the_length():
    first, second = (latent(0, i, 32, None) for i in range(2))
    numpy.testing.assert_allclose(slerp(first, second, 0.0), first, rtol=1e-5, atol=1e-6)
    numpy.testing.assert_allclose(slerp(first, second, 1.0), second, rtol=1e-5, atol=1e-6)
    units = [end / numpy.linalg.norm(end) for end in (first, second)]
    angle = numpy.arccos(units[0] @ units[1])
    for share in (0.1, 0.25, 0.5, 0.9):
        point = slerp(*units, share)
        assert point.dtype == numpy.float32
        assert numpy.linalg.norm(point) == pytest.approx(1, abs=1e-5)
        assert numpy.arccos(point @ units[0]) == pytest.approx(share * angle, abs=1e-3)


def test_slerp_by_hand():
    # A third of a quarter turn is 30 degrees.
    point = slerp(numpy.array([1, 0], "float32"), numpy.array([0, 1], "float32"), 1 / 3)
    numpy.testing.assert_allclose(point, [3**0.5 / 2, 1 / 2], atol=1e-6)
    same = numpy.array([0.6, 0.8], "float32")
    numpy.testing.assert_allclose(slerp(same, same, 0.5), same, atol=1e-6)


def test_a_walk_leads_from_sample_0_to_sample_1(generator):
    walk = samples(generator, 40, interpolate=True, label="b")
    ends = samples(generator, 2, label="b")
    torch.testing.assert_close(walk[0], ends[0])
    torch.testing.assert_close(walk[-1], ends[1], rtol=1e-4, atol=1e-5)
    steps = (walk[1:] - walk[:-1]).flatten(1).norm(dim=1)
    assert steps.max() < (ends[1] - ends[0]).norm() / 2, "no step is a jump"
    assert steps.min() > 0


def test_a_walk_stays_in_one_class(generator):
    walk = samples(generator, 4, interpolate=True)
    torch.testing.assert_close(walk, samples(generator, 4, interpolate=True, label=0))
    with pytest.raises(UserError, match="one label"):
        generator.batches(4, interpolate=True, label=["a", "b"])


# --- labels ---


def test_a_class_by_name_or_else_by_number():
    classes = ("cat", "dog", "1")
    assert [class_number(label, classes) for label in ("cat", "dog", 0, 1, 2, "0", "2")] == [0, 1, 0, 1, 2, 0, 2]
    assert class_number("1", classes) == 2, "a name goes before a number"


def test_where_all_names_are_numbers_a_number_is_a_name():
    classes = ("1", "2", "10")
    assert [class_number(label, classes) for label in (1, "2", 10)] == [0, 1, 2]
    for label in (0, "0"):
        with pytest.raises(UserError, match=r"no class '?0"):
            class_number(label, classes)


@pytest.mark.parametrize("label", ["d", 3, -1, "-1", "", "1.0", ["a", "z"], []], ids=str)
def test_a_class_that_there_is_not_is_refused(generator, label):
    with pytest.raises(UserError):
        samples(generator, 1, label=label)


def test_the_error_names_the_classes():
    with pytest.raises(UserError, match=r"no class 'd'; the 3 classes are a, b, c; their numbers are 0 to 2"):
        class_number("d", ("a", "b", "c"))
    with pytest.raises(UserError, match=r"c19, \.\.\.; their numbers are 0 to 24"):
        class_number("d", tuple(f"c{i}" for i in range(25)))
    with pytest.raises(UserError, match=r"no class 'circel'; did you mean circle\?"):
        class_number("circel", ("square", "circle"))


def test_a_model_without_classes_takes_no_label(unconditional):
    with pytest.raises(UserError, match="no classes"):
        unconditional.batches(1, label=0)


# --- saving ---


def test_saved_and_loaded_is_the_same_generator(generator, saved):
    loaded = load(saved)
    assert torch.equal(samples(loaded, 5), samples(generator, 5))
    assert loaded.modality.config == generator.modality.config
    assert (loaded.name, loaded.training, loaded.classes) == ("image", generator.training, ("a", "b", "c"))
    assert not loaded.network.training
    assert sorted(file.name for file in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_the_card_says_what_it_is(saved, generator):
    card = (saved / "README.md").read_text()
    count = sum(weight.numel() for weight in generator.network.parameters())
    assert card.startswith("---\n")
    assert "`image`" in card
    assert f"{count:,} weights" in card
    assert "| steps | 3 |" in card


def test_a_model_saved_over_an_older_one_replaces_it(unconditional, saved):
    (saved / "left-over").write_text("of the older one")
    unconditional.save(saved)
    assert load(saved).classes == ()
    assert torch.equal(samples(load(saved), 2), samples(unconditional, 2))
    assert not (saved / "left-over").exists()


def test_a_folder_of_something_else_is_not_thrown_away(unconditional, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("three years")
    with contextlib.suppress(UserError):  # refused, or written beside what is there
        unconditional.save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "three years"


def test_a_save_that_fails_leaves_the_older_model_and_no_litter(generator, unconditional, saved):
    before = samples(load(saved), 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # bytes in a file: what a disk with 4 KB left does
    try:
        with pytest.raises(UserError, match="cannot write the model"):
            unconditional.save(saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.equal(samples(load(saved), 2), before)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_full_disk_leaves_the_older_model_and_no_litter(unconditional, saved, monkeypatch):
    before = samples(load(saved), 2)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(generators, "save_file", full)
    with pytest.raises(UserError, match="No space left on device"):
        unconditional.save(saved)
    assert torch.equal(samples(load(saved), 2), before)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


# --- loading what is wrong ---


def change_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def test_missing_weights_are_refused(saved):
    change_weights(saved, lambda weights: weights.pop("first.weight"))
    with pytest.raises(UserError, match=r"lacks first\.weight"):
        load(saved)


def test_extra_weights_are_refused(saved):
    change_weights(saved, lambda weights: weights.update(other=torch.zeros(1)))
    with pytest.raises(UserError, match="has unknown other"):
        load(saved)


def test_weights_of_another_shape_are_refused(saved):
    change_weights(saved, lambda weights: weights.update({"first.weight": weights["first.weight"][:1].clone()}))
    with pytest.raises(UserError, match=r"another shape of first\.weight"):
        load(saved)


@pytest.mark.parametrize("kept", [0, 4, 200, -1])
def test_truncated_weights_are_refused(saved, kept):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match="missing or damaged"):
        load(saved)


def test_a_model_without_its_weights_is_refused(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        load(saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"architectures": ["Other"], "model_type": "gpt2"}',
        '{"format": "1", "modality": "image", "config": {}}',
        '{"format": 1, "modality": 3, "config": {}}',
        '{"format": 1, "modality": "image", "config": []}',
    ],
)
def test_a_foreign_config_is_refused(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(UserError, match="not a multigan model"):
        load(saved)


def test_a_config_that_is_no_text_is_refused(saved):
    (saved / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a multigan model"):
        load(saved)


def test_a_newer_format_is_refused_with_the_version_that_wrote_it(saved):
    change_config(saved, format=model_folder.FORMAT + 1, multigan="9.9")
    with pytest.raises(UserError, match=r"9\.9.*update multigan"):
        load(saved)


def test_a_newer_format_that_names_no_version_is_refused(saved):
    values = {"format": model_folder.FORMAT + 1, "modality": "image", "config": {}}
    (saved / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError):
        load(saved)


@pytest.mark.parametrize("config", [{"resolution": 17}, {"no_such_setting": 1}, {"latent_dim": "many"}])
def test_a_config_that_does_not_fit_the_modality_is_refused(saved, config):
    change_config(saved, config=config)
    with pytest.raises(UserError):
        load(saved)


def test_another_modality_than_asked_for_is_refused(saved):
    with pytest.raises(UserError, match="is of modality 'image', not 'audio'"):
        load(saved, modality="audio")
    change_config(saved, modality="no-such-thing")
    with pytest.raises(UserError, match="no-such-thing"):
        load(saved)


STRANGER = """
from multigan.modalities.image import Image

class Stranger(Image):
    pass
"""


def test_a_file_does_not_choose_what_is_imported(generator, tmp_path, monkeypatch):
    (tmp_path / "stranger_in_a_file.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    stranger = TrainedGenerator("stranger_in_a_file:Stranger", generator.modality, generator.network)
    folder = stranger.save(tmp_path / "model")
    with pytest.raises(UserError, match="pass it as the modality"):
        load(folder)
    with pytest.raises(UserError, match="is of modality"):
        load(folder, modality="image")
    assert "stranger_in_a_file" not in sys.modules
    try:
        loaded = load(folder, modality="stranger_in_a_file:Stranger")
        assert type(loaded.modality).__name__ == "Stranger"
        assert torch.equal(samples(loaded, 2), samples(generator, 2))
    finally:
        sys.modules.pop("stranger_in_a_file", None)


# --- finding ---


def test_a_run_folder_and_a_model_folder_are_found(generator, tmp_path):
    model = generator.save(tmp_path / "run" / "model")
    assert find(tmp_path / "run") == model
    assert find(model) == model
    assert find(str(model)) == model
    assert torch.equal(samples(multigan.load(tmp_path / "run"), 2), samples(generator, 2))


def test_nothing_is_found_in_words(tmp_path):
    with pytest.raises(UserError, match="no model in"):
        find(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="no model in"):
        find(tmp_path / "file")
    for name in (tmp_path / "none", "none", "./none", "../none", "~/none-of-that-name", "a/b/c"):
        with pytest.raises(UserError, match="no run or model"):
            find(name)


def test_a_hub_id_that_cannot_be_fetched_is_refused():
    # The tests run with HF_HUB_OFFLINE.
    with pytest.raises(UserError, match="not found on the Hub"):
        find("nobody/nothing-of-that-name")


def make_run(generator, name, age):
    """A run under runs/ whose model was saved so many seconds ago."""
    config = generator.save(model_folder.RUNS / name / "model") / "config.json"
    moment = 2_000_000_000 - age
    os.utime(config, (moment, moment))


def test_newest_prefers_the_newest_run_with_a_model(unconditional, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run(unconditional, "z-old", 30)
    make_run(unconditional, "a-new", 10)
    make_run(unconditional, "m-middle", 20)
    make_run(TrainedGenerator("audio", unconditional.modality, unconditional.network), "other-modality", 0)
    (model_folder.RUNS / "just-started").mkdir()
    assert newest("image") == model_folder.RUNS / "a-new"
    assert newest("audio") == model_folder.RUNS / "other-modality"


def test_the_starter_model_is_taken_where_there_is_no_run(unconditional, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model_folder, "STARTERS", tmp_path / "starters")
    with pytest.raises(UserError, match="no run of modality 'image'"):
        newest("image")
    starter = unconditional.save(tmp_path / "starters" / "image")
    assert newest("image") == starter
    make_run(unconditional, "mine", 0)
    assert newest("image") == model_folder.RUNS / "mine"


def test_layout_reaches_weights_of_one_channel_and_leaves_other_ranks():
    # A weight of one channel fits both layouts; left as it was, it would turn the layout of all that follows back.
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 4), torch.nn.Conv3d(2, 3, 2), torch.nn.Linear(3, 2))
    before = [weight.clone() for weight in network.parameters()]
    channels_last(network)
    assert network[0].weight.stride() == (16, 1, 4, 1)
    assert network[1].weight.is_contiguous()
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


class Tied(torch.nn.Module):
    """Two names for one weight."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 2)
        self.second = torch.nn.Linear(2, 2)
        self.second.weight = self.first.weight


def test_tied_weights_are_saved_and_loaded(tmp_path):
    network, other = Tied(), Tied()
    file = tmp_path / "model.safetensors"
    save_file(network_tensors(network), file)
    model_folder.load_weights(other, file)
    assert torch.equal(other.second.weight, network.first.weight)
    assert other.second.weight is other.first.weight


# --- conditions of samples ---


def test_conditions_of_samples_are_taken_block_by_block(generator):
    numbers, asked = torch.arange(70) % 3, []

    def conditions_of(rows):
        asked.append(rows)
        return numbers[rows.start : rows.stop]

    assert torch.equal(samples(generator, 70, conditions_of=conditions_of), samples(generator, 70))
    assert asked == [range(32), range(32, 64), range(64, 70)]
    (block,) = generator.batches(70, blocks=[2], conditions_of=conditions_of)
    assert torch.equal(block, samples(generator, 70)[64:])
    with pytest.raises(UserError, match="label"):
        generator.batches(3, label="a", conditions_of=conditions_of)


def test_a_network_is_told_32_conditions_by_name_however_few_there_are():
    class Network(torch.nn.Linear):
        def forward(self, latent, condition):
            assert len(latent) == len(condition["a"]) == len(condition["b"]) == 32
            return latent.sum(1, keepdim=True) + super().forward(condition["a"]) * condition["b"]

    told = {"a": torch.randn(40, 2), "b": torch.randn(40, 1)}
    model = TrainedGenerator("image", make().modality, Network(2, 1).eval().requires_grad_(False))
    many, few = (
        samples(model, n, conditions_of=lambda rows: {name: all[rows] for name, all in told.items()}) for n in (40, 5)
    )
    assert torch.equal(many[:5], few) and len(many) == 40
