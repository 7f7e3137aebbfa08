"""The whole test of a modality: multigan's conformance suite."""

from PIL import Image

from multigan.testing import ModalityConformance


class TestSharpen(ModalityConformance):
    modality = "sharpen"
    model = {"width": 8}

    def inputs(self, modality, condition):
        return modality.to_outputs(condition)

    def other_sizes(self, modality):
        return [Image.new("RGB", size) for size in ((40, 25), (7, 300))]


class TestSharpenWithNoise(TestSharpen):
    model = {"width": 8, "latent_dim": 2}
