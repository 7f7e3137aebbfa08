"""The whole test of a modality: multigan's conformance suite."""

from multigan.testing import ModalityConformance


class TestSharpen(ModalityConformance):
    modality = "sharpen"
    model = {"width": 8}

    def inputs(self, modality, condition):
        return modality.to_outputs(condition)
