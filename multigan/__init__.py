"""Train GANs that generate images, audio and text, and generate from them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from multigan.config import TrainingConfig, configure
    from multigan.errors import UserError
    from multigan.modality import Modality
    from multigan.pretrained import TrainedGenerator, load
    from multigan.run import train

# Loaded when first used, so that `import multigan` and `multigan --help` do not wait for torch.
_HOMES = {
    "Modality": "modality",
    "TrainedGenerator": "pretrained",
    "TrainingConfig": "config",
    "UserError": "errors",
    "configure": "config",
    "load": "pretrained",
    "train": "run",
}

__all__ = ["Modality", "TrainedGenerator", "TrainingConfig", "UserError", "configure", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'multigan' has no attribute {name!r}")
    return getattr(importlib.import_module(f"multigan.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
