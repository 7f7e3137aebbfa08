"""The built-in modality passes what a stranger's must."""

from multigan.testing import ModalityConformance

SMALL = {"resolution": 16, "generator_width": 8, "discriminator_width": 8, "rotation": 10.0, "shift": 0.1}
DCGAN = {**SMALL, "architecture": "dcgan"}


class TestDCGAN(ModalityConformance):
    modality = "image"
    model = DCGAN
    training = {"r1": 1.0, "discriminator_steps": 2}


class TestConditionalDCGAN(ModalityConformance):
    modality = "image"
    model = {**DCGAN, "conditional": True}
    training = {"objective": "relativistic", "r1": 0.1, "r2": 0.1}


class TestSeveralClasses(ModalityConformance):
    modality = "image"
    model = {**DCGAN, "conditional": True, "combinations": ("1+2", "3")}
    training = {"objective": "relativistic", "r1": 0.1, "r2": 0.1}


class TestStyled(ModalityConformance):
    modality = "image"
    model = {**SMALL, "architecture": "styled", "conditional": True}
    training = {"objective": "relativistic", "r1": 1.0, "r2": 1.0, "penalty_every": 2, "path_length": 2.0}


class TestFullyConnected(ModalityConformance):
    modality = "image"
    model = {
        "resolution": 16,
        "architecture": "mlp",
        "conditional": True,
        "generator_width": 16,
        "discriminator_width": 16,
    }


class TestStyleGAN2(ModalityConformance):
    modality = "image"
    model = {**SMALL, "architecture": "stylegan2", "latent_dim": 16, "conditional": True}
    training = {"r1": 1.0, "r2": 1.0, "path_length": 2.0, "path_length_every": 2, "micro_batches": 2}


class TestUnconditionalStyleGAN2(ModalityConformance):
    modality = "image"
    model = {**SMALL, "architecture": "stylegan2", "latent_dim": 16}
    training = {"r1": 1.0, "path_length": 2.0, "path_length_every": 1, "discriminator_steps": 2}


class TestR3GAN(ModalityConformance):
    modality = "image"
    model = {**SMALL, "architecture": "r3gan", "conditional": True}
    training = {"r1": 0.1, "r2": 0.1}


class TestUnconditionalR3GAN(ModalityConformance):
    modality = "image"
    model = {**SMALL, "architecture": "r3gan"}
    training = {"r1": 0.1, "r2": 0.1}
