"""The built-in text modality passes the suite that third-party ones must pass, with each of its networks."""

import pytest

from multigan.testing import ModalityConformance

SMALL = {"generator_width": 4, "discriminator_width": 8, "length": 9}


class TestText(ModalityConformance):
    modality = "text"
    model = SMALL


@pytest.mark.slow
class TestRelationalMemorySoft(ModalityConformance):
    modality = "text"
    model = SMALL | {"architecture": "relational", "estimator": "soft", "conditional": True}
    training = {"pretraining_steps": 3, "steps": 1}


class TestTransformer(ModalityConformance):
    modality = "text"
    model = SMALL | {"architecture": "transformer", "layers": 1, "discriminator": "transformer", "conditional": True}
    training = {"wgan_gp": 1.0, "objective": "wasserstein", "pretraining_steps": 3, "steps": 1}
