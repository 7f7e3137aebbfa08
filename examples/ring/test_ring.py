"""The whole test of a modality: multigan's conformance suite."""

from multigan.testing import ModalityConformance


class TestRing(ModalityConformance):
    modality = "ring"
