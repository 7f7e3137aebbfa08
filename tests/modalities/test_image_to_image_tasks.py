"""Holds the tasks against figures worked out by hand: what networks are told, what is trivial, what is lost."""

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from multigan.interface import DiscriminatorOutput, GeneratorOutput
from multigan.modalities.image_to_image import ImageToImage, holes, losses, style
from multigan.modalities.image_to_image.config import ImageToImageConfig
from multigan.modalities.image_to_image.tasks import TASKS, Colors, Filled, cut, flipped, luma, to_pictures

SMALL = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "patch_layers": 1}


def noise(*shape, seed=0):
    """Pictures in [-1, 1]."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def a_task(name, **settings):
    return TASKS[name](ImageToImageConfig(task=name, **{**SMALL, **settings}))


class Fixed(nn.Module):
    """A network that answers with what it was made with."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, latent, condition):
        return self.answer.expand(len(condition), -1, *condition.shape[2:])


# --- grey and colour ---


def test_luma_by_hand():
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [-1, -1, -1], [0.5, -0.5, 1]])
    greys = luma(colours[:, :, None, None]).flatten()
    expected = [0.299, 0.587, 0.114, 1, -1, 0.1495 - 0.2935 + 0.114]
    assert greys.tolist() == pytest.approx(expected)


def test_luma_is_pillows_grey():
    pixels = numpy.random.default_rng(0).integers(0, 256, (9, 7, 3), "uint8")
    picture = Image.fromarray(pixels)
    ours = luma(to_pictures(torch.from_numpy(pixels).permute(2, 0, 1)[None]))
    theirs = to_pictures(torch.from_numpy(numpy.array(picture.convert("L")))[None, None])
    assert float((ours - theirs).abs().max()) <= 1.01 / 127.5  # Pillow rounds to whole greys


def test_colors_keep_greys_and_the_network_decides_on_the_rest():
    condition = noise(3, 1, 5, 6)
    answer = torch.tensor([0.7, -0.2, 0.1])[None, :, None, None]
    coloured = Colors(Fixed(answer))(torch.zeros(3, 0), condition)
    torch.testing.assert_close(luma(coloured), condition)
    torch.testing.assert_close(coloured[:, 0] - coloured[:, 1], torch.full((3, 5, 6), 0.9))
    torch.testing.assert_close(coloured[:, 2] - coloured[:, 1], torch.full((3, 5, 6), 0.3))


def test_a_colour_input_is_as_its_grey_one():
    colorize = a_task("colorize")
    colours = torch.randint(0, 256, (1, 3, 8, 9), generator=torch.Generator().manual_seed(0)).byte()
    grey = torch.from_numpy(numpy.array(Image.fromarray(colours[0].permute(1, 2, 0).numpy()).convert("L")))[None, None]
    of_colours, of_grey = (colorize.of_input({"picture": one}) for one in (colours, grey))
    assert of_colours.shape == of_grey.shape == (1, 1, 8, 9)
    assert float((of_colours - of_grey).abs().max()) <= 1.01 / 127.5
    assert torch.equal(colorize.trivial(of_grey), torch.cat([of_grey] * 3, 1))


# --- enlarging ---


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_what_is_enlarged_is_the_mean_of_each_square(factor):
    pictures = noise(2, 3, 16, 16)
    small = a_task("enlarge", factor=factor).condition(pictures, None, torch.zeros(2, 0))
    assert small.shape == (2, 3, 16 // factor, 16 // factor)
    torch.testing.assert_close(small[1, 2, 1, 0], pictures[1, 2, factor : 2 * factor, :factor].mean())


def test_trivial_enlargement_is_bicubic_and_inputs_are_shown_in_blocks():
    enlarge = a_task("enlarge", factor=2)
    step = (torch.arange(8) >= 4).float().expand(1, 3, 8, 8)
    trivial = enlarge.trivial(step)
    assert trivial.shape == (1, 3, 16, 16)
    # Keys' kernel with a = -0.75 at distances 0.25, 0.75, 1.25 and 1.75: it overshoots on both sides of the step.
    near, far, before, after = (0.8789, 0.2617, -0.1055, -0.0352)
    row = [0, 0, 0, 0, 0, after, before, far + after, 1 - far - after, 1 - before, 1 - after, 1, 1, 1, 1, 1]
    assert near + far + before + after == pytest.approx(1, abs=1e-3)
    assert trivial[0, 2, 8].tolist() == pytest.approx(row, abs=1e-3)
    assert torch.equal(enlarge.shown(step)[:, :, ::2, 1::2], step)


# --- holes ---

SIDES = st.tuples(st.integers(16, 40), st.integers(16, 40))
SHARES = st.floats(0.001, 0.999)
NUMBERS = st.lists(
    st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=holes.NUMBERS, max_size=holes.NUMBERS),
    min_size=1,
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(NUMBERS, SIDES, SHARES)
def test_squares_are_squares_inside_the_picture(numbers, sides, share):
    found = holes.squares(torch.tensor(numbers), torch.Size(sides), share)
    assert found.shape == (len(numbers), 1, *sides) and found.dtype == torch.bool
    side = min(max(1, round(share * min(sides))), min(sides) - 1)
    for one in found[:, 0]:
        rows, columns = one.any(1).nonzero().flatten(), one.any(0).nonzero().flatten()
        assert len(rows) == len(columns) == side and int(one.sum()) == side**2
        assert int(rows[-1] - rows[0]) == int(columns[-1] - columns[0]) == side - 1


@settings(max_examples=40, deadline=None)
@given(NUMBERS, SIDES, SHARES)
def test_a_hole_is_neither_nothing_nor_everything(numbers, sides, share):
    for make in (holes.squares, holes.strokes):
        found = make(torch.tensor(numbers), torch.Size(sides), share)
        assert found.flatten(1).any(1).all()
        assert not (make is holes.squares and found.flatten(1).all(1).any())


@settings(max_examples=20, deadline=None)
@given(NUMBERS, SHARES)
def test_a_hole_depends_on_its_own_numbers_alone(numbers, share):
    numbers = torch.tensor(numbers)
    for make in (holes.squares, holes.strokes):
        together = make(numbers, torch.Size((16, 24)), share)
        alone = torch.cat([make(row[None], torch.Size((16, 24)), share) for row in numbers])
        assert torch.equal(together, alone)


def test_squares_reach_every_corner():
    """Place 0 is the first row, and the largest number the last that a square fits in."""
    numbers = torch.zeros(2, holes.NUMBERS)
    numbers[1, :2] = 1 - 2**-24
    found = holes.squares(numbers, torch.Size((16, 20)), 0.25)
    assert found[0, 0, :4, :4].all() and found[1, 0, 12:, 16:].all()
    places = torch.rand(4000, holes.NUMBERS, generator=torch.Generator().manual_seed(0))
    starts = holes.squares(places, torch.Size((16, 20)), 0.25)[:, 0].any(2).int().argmax(1)
    counts = torch.bincount(starts, minlength=13)
    assert len(counts) == 13 and counts.min() > 4000 / 13 * 0.8


def test_a_stroke_goes_from_one_end_to_the_other():
    numbers = torch.zeros(1, holes.NUMBERS)
    ends = torch.tensor([[0.25, 0.0], [0.25, 0.999]])  # (row, column), as shares
    numbers[0, 2:] = ends.flatten().repeat(holes.STROKES)
    found = holes.strokes(numbers, torch.Size((32, 32)), 0.5)[0, 0]
    thickness = 32 * 0.5 / holes.STROKES
    assert found.sum(0).tolist() == [int(thickness)] * 32  # rows 6 to 9, around row 8
    assert found[6:10].all()


@pytest.mark.parametrize("kind", ["squares", "strokes"])
def test_filled_leaves_what_is_known_untouched_to_the_bit(kind):
    inpaint = a_task("inpaint", holes=kind, channels=3)
    pictures = noise(4, 3, 16, 16)
    numbers = torch.rand(4, inpaint.numbers, generator=torch.Generator().manual_seed(1))
    told = inpaint.condition(pictures, None, numbers)
    hole = told[:, -1:].expand(-1, 3, -1, -1) > 0
    assert torch.equal(told[:, :-1][~hole], pictures[~hole]) and not told[:, :-1][hole].any()
    answer = torch.tensor([0.3, -0.123456789, 1.0])[None, :, None, None]
    filled = Filled(Fixed(answer))(torch.zeros(4, 0), told)
    assert torch.equal(filled[~hole], pictures[~hole])
    assert torch.equal(filled[hole], answer.expand_as(filled)[hole])
    trivial = inpaint.trivial(told)
    assert torch.equal(trivial[~hole], pictures[~hole])
    for one, where, made in zip(pictures, hole, trivial, strict=True):
        for channel in range(3):
            known = one[channel][~where[channel]]
            torch.testing.assert_close(made[channel][where[channel]], known.mean().expand(int(where[channel].sum())))


def test_filled_leaves_it_untouched_under_autocast():
    inpaint = a_task("inpaint", channels=1)
    told = inpaint.condition(noise(2, 1, 16, 16), None, torch.full((2, inpaint.numbers), 0.5))
    with torch.autocast("cpu", torch.bfloat16):
        filled = inpaint.generator()(torch.zeros(2, 0), told)
    known = told[:, -1:] == 0
    assert filled.dtype == torch.float32 and torch.equal(filled[known], told[:, :1][known])


# --- pieces ---


def test_input_and_target_are_cut_and_mirrored_alike():
    modality = ImageToImage(ImageToImageConfig(task="paired", flip=True, load_size=24, channels=1, **SMALL))
    places = torch.arange(24 * 24).view(1, 1, 24, 24).remainder(251).byte().expand(40, -1, -1, -1)
    numbers = torch.rand(40, modality.pair_numbers, generator=torch.Generator().manual_seed(0))
    samples, told = modality.to_pair(places, {"input": places}, numbers)
    assert samples.shape == (40, 1, 16, 16) and torch.equal(samples, told)
    steps = samples[:, 0, 0].diff(dim=1).sign().sum(1) < 0
    assert 8 < int(steps.sum()) < 32 and bool((steps == (numbers[:, 2] < 0.5)).all())
    alone = modality.to_pair(places[:1], {"input": places[:1]}, numbers[7:8])[0]
    assert torch.equal(alone, samples[7:8])


def test_cut_takes_the_place_that_the_numbers_say():
    whole = torch.arange(6 * 8).view(1, 6, 8).expand(3, -1, -1)
    numbers = torch.tensor([[0, 0], [1 - 2**-24, 1 - 2**-24], [0.5, 0.5]])
    first, last, middle = cut(whole, (4, 5), numbers)
    assert first[0, 0] == 0 and last[-1, -1] == 47 and middle[0, 0] == 1 * 8 + 2
    assert cut(whole, (6, 8), numbers) is whole


def test_flipped_mirrors_those_that_are_chosen():
    rows = torch.arange(8).view(2, 1, 1, 4)
    assert flipped(rows, torch.tensor([True, False])).flatten(1).tolist() == [[3, 2, 1, 0], [4, 5, 6, 7]]


# --- labels ---


@pytest.mark.parametrize(("fit", "channels"), [("crop", 3), ("pad", 4)])
def test_one_hot(fit, channels):
    labels = a_task("labels", classes=("0", "5", "9"), fit=fit)
    assert labels.input_channels == channels
    maps = torch.tensor([[[0, 1], [2, 3]]], dtype=torch.uint8)
    told = labels.condition(None, maps, None)
    assert told.shape == (1, channels, 2, 2)
    assert told[0, :, 0, 1].tolist() == [0, 1, 0, 0][:channels]
    assert told[0, :, 1, 1].tolist() == [0, 0, 0, 1][:channels]  # padding is a class of its own
    assert labels.trivial(told) is None
    shown = labels.shown(told)[0]
    assert shown[:, 0, 0].tolist() == [-1] * 3 and shown[:, 1, 0].tolist() == [1] * 3


def test_maps_by_colour_are_shown_in_their_colours():
    labels = a_task("labels", classes=("#000000", "#ff8000"))
    shown = labels.shown(labels.one_hot(torch.tensor([[[0, 1]]])))
    torch.testing.assert_close(shown[0, :, 0, 1], torch.tensor([1, 128 / 127.5 - 1, -1]))


# --- unpaired ---


@pytest.mark.parametrize("channels", [1, 3])
def test_a_and_b_are_never_mixed_up(channels):
    unpaired = a_task("unpaired", channels=channels)
    modality = ImageToImage(unpaired.config)
    a, b = torch.full((2, channels, 16, 16), 10).byte(), torch.full((2, channels, 16, 16), 200).byte()
    samples, told = modality.to_pair(torch.stack([a, b], 1), {}, torch.zeros(2, modality.pair_numbers))
    assert torch.equal(samples, torch.cat([to_pictures(a), to_pictures(b)], 1)) and torch.equal(told, samples)
    assert torch.equal(modality.to_sample(torch.stack([a, b], 1)), samples)
    network = unpaired.generator()
    network.to_a, network.to_b = (Fixed(torch.full((1, channels, 1, 1), value)) for value in (0.1, 0.2))
    made = network(torch.zeros(2, 0), told)
    assert (made[:, :channels] == 0.1).all() and (made[:, channels:] == 0.2).all()
    for direction, value in (("AB", 0.2), ("BA", 0.1)):
        modality.apply_options(network, modality.Options(direction=direction))
        assert (network(torch.zeros(2, 0), to_pictures(a)) == value).all()
    trivial = unpaired.trivial(told)
    assert torch.equal(trivial, torch.cat([to_pictures(b), to_pictures(a)], 1))  # in the place of an A, the B


@pytest.mark.parametrize("channels", [1, 3])
def test_trivial_translation_of_one_picture_is_that_picture(channels):
    picture = noise(1, channels, 8, 8)
    unpaired = a_task("unpaired", channels=channels)
    assert torch.equal(unpaired.trivial(picture), picture) and torch.equal(unpaired.shown(picture), picture)


# --- other trivial outputs ---


def test_trivial_output_has_the_channels_of_the_target():
    told = noise(2, 3, 4, 4)
    assert torch.equal(a_task("paired", channels=3, input_channels=3).trivial(told), told)
    assert torch.equal(a_task("paired", channels=1, input_channels=3).trivial(told), luma(told))
    grey = told[:, :1]
    assert torch.equal(a_task("paired", channels=3, input_channels=1).trivial(grey), torch.cat([grey] * 3, 1))


def test_a_photograph_is_no_trivial_output_of_style():
    """Next to it each model of style would be "worse than no network at all"."""
    assert a_task("style").trivial(noise(2, 3, 4, 4)) is None


# --- losses ---


def output(generate, condition, real, fake, fake_features=(), real_features=()):
    judged = DiscriminatorOutput((torch.zeros(len(fake)),), fake_features)
    truth = DiscriminatorOutput((torch.zeros(len(fake)),), real_features)
    return GeneratorOutput(generate, torch.zeros(len(fake), 0), condition, real, fake, judged, lambda: truth)


def test_paired_losses_by_hand():
    real, fake = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 0.25)
    ones = [torch.ones(2, 3, 4, 4), torch.ones(2, 5)]
    output_ = output(None, None, real, fake, (3 * ones[0], 0 * ones[1]), tuple(ones))
    found = losses.paired(ImageToImageConfig(task="paired", l1=10, features=4), output_)
    assert {name: float(value) for name, value in found.items()} == {"l1": 2.5, "features": 4 * (2 + 1) / 2}
    assert losses.paired(ImageToImageConfig(task="paired", l1=0), output_) == {}


def test_an_identity_has_neither_cycle_nor_identity_loss():
    """As T gives each side's translation the other's place, doing nothing is to swap the places."""
    config = ImageToImageConfig(task="unpaired", identity=5)
    real = noise(2, 6, 4, 4)

    def swap(latent, condition):
        return torch.cat(condition.chunk(2, 1)[::-1], 1)

    found = losses.unpaired(config, output(swap, real, real, swap(None, real)))
    assert {name: float(value) for name, value in found.items()} == {"cycle": 0, "identity": 0}


def test_unpaired_losses_by_hand():
    """A is 1 and B is 2; what becomes an A is halved, and what becomes a B doubled and one less."""
    config = ImageToImageConfig(task="unpaired", cycle=10, identity=3)
    real = torch.cat([torch.full((1, 1, 2, 2), value) for value in (1.0, 2.0)], 1)

    def translate(latent, condition):
        a, b = condition.chunk(2, 1)
        return torch.cat([b / 2, 2 * a - 1], 1)

    found = losses.unpaired(config, output(translate, real, real, translate(None, real)))
    # There and back: A 1 -> B 1 -> A 0.5, off by 0.5; B 2 -> A 1 -> B 1, off by 1.
    assert float(found["cycle"]) == pytest.approx(10 * (0.5 + 1) / 2)
    # An A taken for a B becomes 0.5, off by 0.5; a B taken for an A becomes 3, off by 1.
    assert float(found["identity"]) == pytest.approx(3 * (0.5 + 1) / 2)


# --- style ---


@pytest.fixture(autouse=True)
def random_filters(monkeypatch):
    """Whatever weights this machine has."""
    monkeypatch.setattr(style, "find_features", style.RandomFeatures)


def test_gram_by_hand():
    activations = torch.tensor([[[[1.0, 2]], [[3, -1]]]])  # two channels at two places
    assert style.gram(activations).tolist() == [[[2.5, 0.5], [0.5, 5.0]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_style_is_compared_in_full_precision_under_autocast(dtype):
    activations = torch.full((1, 2, 64, 64), 300.0)  # whose squares are more than float16 has
    with torch.autocast("cpu", torch.bfloat16):
        found = style.gram(activations.to(dtype))
        near = style.relative(activations.to(dtype), (2 * activations).to(dtype))
    assert found.dtype == near.dtype == torch.float32
    assert float(near) == 0.25 and (found == float(activations.to(dtype)[0, 0, 0, 0]) ** 2).all()


def test_a_style_picture_has_its_own_style_and_a_picture_its_own_content(tmp_path):
    pixels = numpy.random.default_rng(0).integers(0, 256, (40, 32, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "style.png")
    loss = style.StyleLoss(str(tmp_path / "style.png"), 3.0)
    picture = to_pictures(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    own = loss(picture, picture)
    assert set(own) == {"content", "style", "steps"}
    assert float(own["style"]) == float(own["content"]) == 0
    steps = picture.diff(dim=2).abs().mean() + picture.diff(dim=3).abs().mean()
    assert float(own["steps"]) == pytest.approx(style.STEP * float(steps))
    other = noise(2, 3, 16, 16)
    double = style.StyleLoss(str(tmp_path / "style.png"), 6.0)
    one, two = (float(which(other, other)["style"]) for which in (loss, double))
    assert one > 0 and two == pytest.approx(2 * one)


@pytest.mark.parametrize(("channels", "dtype"), [(1, torch.float32), (3, torch.float64)])
def test_style_has_gradients_for_grey_pictures_and_in_double_precision(channels, dtype):
    fake = noise(2, channels, 16, 16).to(dtype).requires_grad_()
    total = sum(style.StyleLoss(None, 1.0)(fake, noise(2, channels, 16, 16, seed=1).to(dtype)).values())
    (gradient,) = torch.autograd.grad(total, fake)
    assert total.dtype == dtype and torch.isfinite(gradient).all() and gradient.abs().sum() > 0


def test_style_is_a_mean_over_samples():
    """So that processes and micro-batches add up, however bright the pictures of each are."""
    real = noise(4, 3, 16, 16) * torch.tensor([1.0, 0.1, 0.5, 0.01])[:, None, None, None]
    fake, loss = noise(4, 3, 16, 16, seed=1), style.StyleLoss(None, 2.0)
    together, halves = loss(fake, real), [loss(fake[part], real[part]) for part in (slice(0, 2), slice(2, 4))]
    for name, value in together.items():
        torch.testing.assert_close(value, (halves[0][name] + halves[1][name]) / 2)
