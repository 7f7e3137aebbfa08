"""What it costs that several processes train as one: exchanging gradients, and making sure that they hold the same.

    OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=true \
        uv run torchrun --standalone --nproc_per_node 2 benchmarks/parallel_cost.py [--batch 32] [--rounds 30]

Each process plays the same steps of a DCGAN at 64 x 64 in turns with the exchange of gradients and without it. What it
takes to exchange as many numbers and do nothing else is timed by itself, and so is the hash of all weights, which is
compared with each line of metrics.
"""

import argparse
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import torch
from accelerate.utils import broadcast_object_list
from interleaved import table, timed

from multigan import configure
from multigan.engine import distributed, launch
from multigan.errors import UserError
from multigan.training.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    launch.check_launch(600)
    with tempfile.TemporaryDirectory() as own:
        (folder,) = broadcast_object_list([own])
        model = {"architecture": "dcgan", "resolution": 64, "generator_width": 64, "discriminator_width": 64}
        rules = {"objective": "non_saturating", "r1": 0.0, "r2": 0.0, "batch_size": options.batch}
        run = Run(configure("image", output=str(Path(folder) / "run"), tracker="none", model=model, **rules))
        count = iter(range(10**9))

        def apart() -> None:
            with ExitStack() as stack:
                for wrapped in (run.game.wrapped_generator, run.game.wrapped_discriminator):
                    stack.enter_context(run.accelerator.no_sync(wrapped))
                run.play(next(count))

        def together() -> None:
            run.play(next(count))
            run.stop_signal.max_of_previous(0)

        def compare() -> None:
            with suppress(UserError):  # each for itself, they have drifted apart
                distributed.check_weights(run.accelerator, run.game.networks())

        count_of_weights = sum(weight.numel() for net in run.game.networks().values() for weight in net.parameters())
        as_many = torch.zeros(count_of_weights, device=run.accelerator.device)
        ways = {
            "each for itself": apart,
            "as one": together,
            "exchanging as many numbers, alone": lambda: torch.distributed.all_reduce(as_many),
            "comparing the weights": compare,
        }
        times = timed(ways, options.rounds, run.accelerator.wait_for_everyone)
        if run.accelerator.is_main_process:
            table(f"one step, DCGAN at 64 x 64, batch {options.batch}, 2 processes", times, "each for itself")
            share = median(times["comparing the weights"]) / (run.training.log_every * median(times["as one"]))
            print(f"\ncomparing the weights each {run.training.log_every} steps costs {share:.4%} of the time")
        run.stop_signal.collect()


if __name__ == "__main__":
    main()
