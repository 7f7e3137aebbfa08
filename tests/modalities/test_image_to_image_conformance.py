"""Every task of image-to-image passes what a stranger's modality must."""

import numpy
import pytest
import torch
from PIL import Image

from multigan.modalities.image_to_image import preview, style
from multigan.pictures import output
from multigan.testing import ModalityConformance

SMALL = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "patch_layers": 1}
SHALLOW, FLAT = {"depth": 2}, {"blocks": 1}  # of the networks that have either
ODD = 11, 21  # width and height of an input that nothing divides


def picture(size, mode="RGB", seed=0):
    """A picture of noise."""
    shape = (*size[::-1], len(mode)) if len(mode) > 1 else size[::-1]
    return Image.fromarray(numpy.random.default_rng(seed).integers(0, 256, shape, "uint8"), mode)


class Task(ModalityConformance):
    """A small model of one task, on data that is quick to read."""

    __test__ = False
    modality = "image-to-image"

    def inputs(self, modality, condition):
        """What the networks are told, as the pictures that a user would give."""
        return output.pictures(condition)

    def other_sizes(self, modality):
        return [picture(ODD), picture((16, 16), "L"), picture((40, 9), "RGBA")]

    @pytest.mark.slow
    def test_resumed_equals_uninterrupted(self, prepared, tmp_path):
        super().test_resumed_equals_uninterrupted(prepared, tmp_path)


class TestColorize(Task):
    __test__ = True
    model = {**SMALL, **SHALLOW, "flip": True, "load_size": 18}
    training = {"dataset": "digits"}


@pytest.mark.slow
class TestColorizeWithNoise(Task):
    """One input has several outputs, so the latent must reach them."""

    __test__ = True
    model = {**SMALL, **SHALLOW, "latent_dim": 3, "scales": 2}
    training = {"dataset": "digits", "micro_batches": 2}


class TestEnlarge(Task):
    __test__ = True
    model = {**SMALL, **FLAT, "task": "enlarge", "factor": 2, "features": 1.0, "channels": 3}
    training = {"dataset": "digits", "pretraining_steps": 0}


class TestInpaintSquares(Task):
    __test__ = True
    model = {**SMALL, **SHALLOW, "task": "inpaint"}
    training = {"dataset": "digits"}
    with_mask = False

    def inputs(self, modality, condition):
        """Transparent in the hole."""
        known, hole = condition[:, :-1], condition[:, -1:]
        whole = torch.cat([known.expand(-1, 3, -1, -1), 1 - 2 * hole], 1)
        return output.pictures(whole)

    def other_sizes(self, modality):
        whole = picture(ODD, "RGBA")
        whole.putalpha(Image.new("L", ODD, 255))
        whole.putpixel((3, 4), (0, 0, 0, 0))
        grey = whole.convert("L")  # the digits are grey, so the model takes grey pictures
        grey.putalpha(whole.getchannel("A"))
        return [grey]


@pytest.mark.slow
class TestInpaintStrokes(TestInpaintSquares):
    model = {**SMALL, **SHALLOW, "task": "inpaint", "holes": "strokes", "hole": 0.3, "channels": 3}


class TestPaired(Task):
    __test__ = True
    model = {**SMALL, **SHALLOW, "task": "paired", "flip": True, "load_size": 20, "features": 1.0}
    training = {"dataset": "facades"}


@pytest.mark.slow
class TestPaddedLabels(Task):
    """Of padded maps: padding is a class of its own."""

    __test__ = True
    model = {**SMALL, "task": "labels", "resolution": "16x24", "fit": "pad", "latent_dim": 2, "flip": True}

    def inputs(self, modality, condition):
        """None: nobody has a map with padding."""

    def other_sizes(self, modality):
        return label_maps(modality, ODD)


class TestLabelsByNumber(Task):
    __test__ = True
    model = {**SMALL, "task": "labels", "scales": 1, "features": 2.0}

    def inputs(self, modality, condition):
        known = numpy.array([int(name) for name in modality.config.classes], "uint8")
        return [Image.fromarray(known[one]) for one in condition.argmax(1).numpy()]

    def other_sizes(self, modality):
        return label_maps(modality, ODD)


class TestUnpaired(Task):
    __test__ = True
    model = {**SMALL, **FLAT, "task": "unpaired", "identity": 2.0}
    training = {"replay": 8, "batch_size": 16}
    # Both generators, one after the other, make a rounding ten to twenty times as large in each step: a start perturbed
    # by 1e-15, in one process, is off by 1e-4 after ten steps.
    steps_in_two_processes = 2

    def inputs(self, modality, condition):
        """None: a condition is a picture of each side, and a user gives one, as in the test below."""

    def other_sizes(self, modality):
        return [picture(ODD)]

    def test_resumed_equals_uninterrupted(self, prepared, tmp_path):
        """With the buffer of replay, so it is not left to the slow tests."""
        super().test_resumed_equals_uninterrupted(prepared, tmp_path)

    def test_one_picture_is_translated_in_either_direction(self, prepared):
        modality, data = prepared
        _, condition = self.pair(modality, data, 3)
        network = modality.generator().eval()
        both = network(torch.zeros(3, 0), condition)
        for direction, told, made in zip(("AB", "BA"), condition.chunk(2, 1), both.chunk(2, 1)[::-1], strict=True):
            modality.apply_options(network, modality.Options(direction=direction))
            torch.testing.assert_close(network(torch.zeros(3, 0), told), made)


class TestStyle(Task):
    __test__ = True
    adversarial = False
    model = {**SMALL, **FLAT, "task": "style", "channels": 3}
    training = {"dataset": "digits"}
    steps_in_two_processes = 4

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def small_style(cls, tmp_path_factory):
        """A small picture, and random filters, whatever weights this machine has."""
        with pytest.MonkeyPatch.context() as patch:
            file = tmp_path_factory.mktemp("style") / "style.png"
            picture((32, 24)).save(file)
            patch.setattr(cls, "model", {**cls.model, "style_picture": str(file)})
            patch.setattr(style, "find_features", style.RandomFeatures)
            yield


def label_maps(modality, size):
    """A map of this size with every class."""
    known = [int(name) for name in modality.config.classes]
    numbers = numpy.resize(numpy.array(known, "uint8"), size[::-1])
    return [Image.fromarray(numbers)]


@pytest.mark.parametrize("channels", [1, 3])
def test_preview_of_both_directions_has_inputs_beside_their_own_outputs(channels, monkeypatch):
    """A from B is in the first channels of an output, and B is in the last channels of what was told."""
    from multigan.modalities.image_to_image.config import ImageToImageConfig
    from multigan.modalities.image_to_image.tasks import Unpaired

    seen = []
    monkeypatch.setattr(output, "grid", lambda cells, path, columns: seen.append(cells) or [])
    task = Unpaired(ImageToImageConfig(task="unpaired", channels=channels))
    told = torch.cat([torch.full((1, channels, 4, 4), value) for value in (0.1, 0.2)], 1)  # A, B
    made = torch.cat([torch.full((1, channels, 4, 4), value) for value in (-0.2, -0.1)], 1)  # A of B, B of A
    preview.pairs(task, told, made, None, None)
    assert [round(float(cell.mean()), 3) for cell in seen[0]] == [0.1, -0.1, 0.2, -0.2]
