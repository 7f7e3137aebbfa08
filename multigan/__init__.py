"""Train GANs that generate images, audio and text, and generate from them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from multigan.version import __version__ as __version__

if TYPE_CHECKING:
    from multigan.config import TrainingConfig, configure
    from multigan.errors import UserError
    from multigan.generation.generator import TrainedGenerator, load
    from multigan.inversion.inverter import invert
    from multigan.modality import Modality
    from multigan.training.run import train

# Loaded when first used, so that `import multigan` and `multigan --help` do not wait for torch.
_HOMES = {
    "Modality": "modality",
    "TrainedGenerator": "generation.generator",
    "TrainingConfig": "config",
    "UserError": "errors",
    "configure": "config",
    "invert": "inversion.inverter",
    "load": "generation.generator",
    "train": "training.run",
}

__all__ = [
    "Modality",
    "TrainedGenerator",
    "TrainingConfig",
    "UserError",
    "configure",
    "invert",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'multigan' has no attribute {name!r}")
    return getattr(importlib.import_module(f"multigan.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
