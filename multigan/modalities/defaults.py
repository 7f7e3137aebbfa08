"""Training defaults that several modalities start from."""

from collections.abc import Mapping
from typing import Any

# Reached the most on pictures in a minute; benchmarks/image_settings.py takes them apart.
RELATIVISTIC: Mapping[str, Any] = {
    "objective": "relativistic",
    "r1": 1.0,
    "r2": 1.0,
    "penalty_every": 4,
    "generator_learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
    "betas": (0.0, 0.99),
    "learning_rate_schedule": "late_linear",
    "ema_decay": 0.998,
    "batch_size": 32,
}
