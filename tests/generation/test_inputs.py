"""Generating from inputs: an output depends on its input and the seed alone, and what is wrong is one line."""

import numpy
import pytest
import torch
from multigan_sharpen import Sharpen, SharpenConfig
from PIL import Image

from multigan.errors import UserError
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig
from multigan.modality import Tiling


def make(latent_dim=2):
    modality = Sharpen(SharpenConfig(latent_dim=latent_dim, width=4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = modality.generator().eval().requires_grad_(False)
    return TrainedGenerator("sharpen", modality, network)


@pytest.fixture(scope="module")
def noisy():
    return make()


@pytest.fixture(scope="module")
def exact():
    return make(latent_dim=0)


def picture(width, height, seed=0):
    return Image.fromarray(numpy.random.default_rng(seed).integers(0, 256, (height, width), "uint8"))


PICTURES = [picture(16, 16), picture(40, 9, 1), picture(16, 16, 2)]


def same(first, second):
    return numpy.array_equal(numpy.asarray(first), numpy.asarray(second))


def test_an_output_depends_on_its_input_and_the_seed_alone(noisy):
    together = noisy.generate(inputs=PICTURES, n=3, seed=5)
    assert [output.size for output in together] == [one.size for one in PICTURES for _ in range(3)]
    for place, one in enumerate(PICTURES):
        alone = noisy.generate(inputs=[one], n=1, seed=5)
        assert len(alone) == 1 and same(alone[0], together[3 * place])
    assert not same(together[0], together[1]) and not same(together[0], together[6])
    assert not same(noisy.generate(inputs=PICTURES[:1], seed=6)[0], together[0])


def test_without_noise_an_input_has_one_output(exact):
    (output,) = exact.generate(inputs=PICTURES[:1])
    assert same(output, exact.generate(inputs=PICTURES[:1], seed=8)[0])
    assert not same(output, PICTURES[0])
    with pytest.raises(UserError, match="this model gives one output for each input: leave out -n"):
        exact.generate(inputs=PICTURES, n=2)
    for options in ({"truncation": 0.5}, {"interpolate": True}):
        with pytest.raises(UserError, match="no noise"):
            exact.from_inputs(PICTURES, **options)


def test_files_and_pictures_are_the_same_inputs(exact, tmp_path):
    PICTURES[1].save(tmp_path / "a.png")
    outputs = exact.generate(inputs=[tmp_path / "a.png", str(tmp_path / "a.png"), PICTURES[1]])
    assert same(outputs[0], outputs[1]) and same(outputs[1], outputs[2])
    for one in (tmp_path / "a.png", PICTURES[1]):  # not in a list
        assert same(exact.generate(inputs=one)[0], outputs[0])


def test_an_array_is_one_input(exact):
    pixels = numpy.asarray(PICTURES[1])
    for one in (pixels, torch.from_numpy(pixels.copy()), [pixels]):
        outputs = exact.generate(inputs=one)
        assert len(outputs) == 1 and same(outputs[0], exact.generate(inputs=PICTURES[1])[0])
    colours = numpy.random.default_rng(0).integers(0, 256, (9, 12, 4), "uint8")
    for channels in (3, 4):
        (output,) = exact.generate(inputs=colours[..., :channels])
        assert same(output, exact.generate(inputs=[Image.fromarray(colours[..., :channels])])[0])
    for shape in ((2, 9, 12, 3), (9, 12, 2), (12,)):
        with pytest.raises(UserError, match=r"input 0: an array of uint8 \(.* is no picture: expected whole numbers"):
            exact.generate(inputs=numpy.zeros(shape, "uint8"))


def test_inputs_are_read_one_at_a_time(noisy):
    read = []

    def inputs():
        for one in PICTURES:
            read.append(one)
            yield one

    outputs = noisy.from_inputs(inputs(), n=2)
    for answer in range(6):
        condition, output = next(outputs)
        assert len(read) == answer // 2 + 1
        assert condition.shape == output.shape == (1, 1, *reversed(read[-1].size))


def test_truncation_and_interpolation_are_of_the_noise(noisy):
    def outputs(n, **options):
        return torch.cat([output for _, output in noisy.from_inputs(PICTURES[:1], n, **options)])

    ends, walk = outputs(2), outputs(5, interpolate=True)
    assert torch.equal(walk[[0, 4]], ends)
    steps = (walk[1:] - walk[:-1]).flatten(1).norm(dim=1)
    assert steps.max() < (ends[1] - ends[0]).norm()
    assert outputs(6, truncation=1e-6).std(0).max() < 1e-5 < outputs(6).std(0).max()


def test_a_large_input_is_made_tile_by_tile(exact, monkeypatch):
    whole = exact.generate(inputs=[picture(100, 50)])[0]
    monkeypatch.setattr(Sharpen, "tiling", Tiling(32, 24))
    sizes = []
    hook = exact.network.register_forward_pre_hook(lambda network, told: sizes.append(told[1].shape[2:]))
    tiled = exact.generate(inputs=[picture(100, 50)])[0]
    hook.remove()
    assert len(sizes) > 4 and set(sizes) == {(32, 32)}
    assert abs(numpy.asarray(tiled).astype(int) - numpy.asarray(whole)).max() <= 40
    assert same(Image.fromarray(numpy.asarray(tiled)[:8, :8]), Image.fromarray(numpy.asarray(whole)[:8, :8]))


def test_inputs_for_a_model_without_and_none_for_one_with_are_refused(exact):
    images = ImageModality(ImageConfig(resolution=16, channels=1, generator_width=2))
    model = TrainedGenerator("image", images, images.generator().eval())
    with pytest.raises(UserError, match="noise alone: leave out the inputs"):
        model.generate(inputs=PICTURES)
    with pytest.raises(UserError, match="give inputs"):
        exact.generate()
    with pytest.raises(UserError, match="no inputs"):
        exact.generate(inputs=[])
    with pytest.raises(UserError, match="no label"):
        exact.generate(inputs=PICTURES, label=3)
    with pytest.raises(UserError, match="temperature"):
        exact.generate(inputs=PICTURES, temperature=3)
    for wrong in ({"n": 0}, {"seed": -1}):
        with pytest.raises(UserError, match=r"(n|seed) is"):
            exact.generate(inputs=PICTURES, **wrong)


def test_an_input_that_cannot_be_read_is_named(exact, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.png: cannot identify") as broken:
        exact.generate(inputs=[PICTURES[0], tmp_path / "broken.png"])
    assert "\n" not in str(broken.value)
    with pytest.raises(UserError, match=r"missing\.png: No such file"):
        exact.generate(inputs=[tmp_path / "missing.png"])
    with pytest.raises(UserError, match="input 1: an array of float64"):
        exact.generate(inputs=[PICTURES[0], numpy.zeros((3, 3))])


def test_the_card_says_how_to_give_an_input(exact, tmp_path):
    folder = exact.save(tmp_path / "model")
    assert "--model THIS_FOLDER --input FILE\n" in (folder / "README.md").read_text()
