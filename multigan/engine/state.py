"""The state of a run: everything that changes during training, and that a checkpoint holds."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from multigan.engine.checkpoint import Tensors, optimizer_tensors, restore_optimizer
from multigan.engine.health import Health
from multigan.engine.loop import Meter
from multigan.engine.step import Game
from multigan.files import cpu_copy, network_tensors


@dataclass
class State:
    """The state of a run between two steps.

    Attributes:
        game: The networks and their optimizers.
        average: The generator's moving average.
        meter: Metrics not yet read.
        health: What is counted and compared.
        digest: Of the training data, None for a stream.
        step: Steps done.
        rollbacks: How often the run was rolled back to a checkpoint, to continue with other random numbers.
        seconds: Time spent on the steps done, over all parts of a run that was resumed.
        best: The step of the best evaluation so far and its value, None before the first.
    """

    game: Game
    average: nn.Module
    meter: Meter
    health: Health
    digest: str | None = None
    step: int = 0
    rollbacks: int = 0
    seconds: float = 0.0
    best: tuple[int, float] | None = None

    def networks(self) -> dict[str, nn.Module]:
        return {"generator": self.game.generator, "discriminator": self.game.discriminator, "average": self.average}

    def optimizers(self) -> dict[str, Any]:
        game = self.game
        return {
            "generator_optimizer": game.generator_optimizer,
            "discriminator_optimizer": game.discriminator_optimizer,
        }

    def is_finite(self) -> bool:
        """Whether every weight is finite."""
        return all(w.isfinite().all() for network in self.networks().values() for w in network.parameters())

    def tensors(self) -> dict[str, Tensors]:
        """Copies of all tensors, on the CPU, by file."""
        networks = {name: network_tensors(network) for name, network in self.networks().items()}
        optimizers = {name: optimizer_tensors(optimizer) for name, optimizer in self.optimizers().items()}
        memory = {name: cpu_copy(value) for name, value in self.game.stabilizers.tensors().items()}
        return networks | optimizers | ({"memory": memory} if memory else {})

    def launch(self) -> dict[str, Any]:
        """What the launcher decides, and may change when a run is resumed."""
        accelerator = self.game.accelerator
        return {"processes": accelerator.num_processes, "mixed_precision": accelerator.mixed_precision}

    def values(self) -> dict[str, Any]:
        """Everything else, as plain values. Every process must call this: each has its own metrics."""
        scaler = self.game.accelerator.scaler
        return {
            "step": self.step,
            "rollbacks": self.rollbacks,
            "seconds": self.seconds,
            "best": self.best,
            "meter": self.meter.state(),
            "health": self.health.state(),
            "launch": self.launch(),
            "digest": self.digest,
            "scaler": scaler.state_dict() if scaler is not None else None,
        }

    def restore(self, tensors: dict[str, dict[str, Tensor]], values: dict[str, Any]) -> None:
        """Restore what `tensors` and `values` returned.

        Raises:
            RuntimeError: The networks do not match.
        """
        for name, network in self.networks().items():
            network.load_state_dict(tensors[name])
        for name, optimizer in self.optimizers().items():
            restore_optimizer(optimizer, tensors[name])
        memory = tensors.get("memory", {})
        self.game.stabilizers.restore(memory)
        for player, history in self.game.stabilizers.histories.items():
            if f"{player}.count" not in memory:
                history.begin(self.networks()[player])
        accelerator = self.game.accelerator
        self.step, self.rollbacks, self.seconds = values["step"], values["rollbacks"], values["seconds"]
        best = values.get("best")
        self.best = (best[0], best[1]) if best else None
        self.meter.restore(values["meter"], accelerator)
        self.health.restore(values["health"])
        if accelerator.scaler is not None and values["scaler"] is not None:
            accelerator.scaler.load_state_dict(values["scaler"])
