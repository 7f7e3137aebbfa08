"""The whole test of a modality: multigan's conformance suite."""

from multigan.testing import ModalityConformance


class TestCurves(ModalityConformance):
    modality = "curves"
    model = {"width": 32}
