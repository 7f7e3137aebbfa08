"""What a checkpoint costs: over writing its bytes and nothing else, and how long training stands still for it.

    OMP_NUM_THREADS=1 uv run benchmarks/checkpoint_cost.py [--width 960] [--rounds 5] [--folder /tmp]

The networks have about 50 million parameters together, so the checkpoint, with the moving average and the two moments
of Adam, has about 180 million numbers.
"""

import argparse
import os
import tempfile
from pathlib import Path

from interleaved import table, timed
from safetensors.torch import save

from multigan import configure
from multigan.engine import checkpoint
from multigan.training.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None, help="where to write; the system's temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as room:
        model = {
            "architecture": "mlp",
            "resolution": 64,
            "generator_width": options.width,
            "discriminator_width": options.width,
        }
        run = Run(configure("image", output=f"{room}/run", tracker="none", model=model, batch_size=16))
        run.play(0)  # Adam's moments come with the first step
        parameters = sum(weight.numel() for network in run.game.networks().values() for weight in network.parameters())
        tensors, values = run.state.tensors(), run.state.values()
        contents = {name: save(part) for name, part in tensors.items()}
        size = sum(map(len, contents.values()))

        def bytes_alone() -> None:
            for name, content in contents.items():
                with (Path(room) / name).open("wb") as file:
                    file.write(content)
                    os.fsync(file.fileno())

        ways = {
            "its bytes alone": bytes_alone,
            "a checkpoint": lambda: checkpoint.save(Path(room) / "checkpoints", 1, tensors, values),
            "training stands still": run.state.tensors,
        }
        times = timed(ways, options.rounds)
    title = f"a checkpoint of networks with {parameters / 1e6:.0f} million parameters, {size / 1e6:.0f} MB"
    table(title, times, "its bytes alone")


if __name__ == "__main__":
    main()
