"""What a step of each architecture for pictures costs, in turns, on the digits at 32 x 32.

    OMP_NUM_THREADS=1 uv run benchmarks/architectures.py [--width 32] [--batch 32] [--rounds 10]

A time is of four steps, one of which has the penalties. `benchmarks/image_settings.py architectures` measures what they
learn in the same time.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import typing

from interleaved import ratio, timed

from multigan import configure
from multigan.modalities.image import ImageConfig
from multigan.training.run import Run

BASE = "dcgan"
STEPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    names = typing.get_args(typing.get_type_hints(ImageConfig)["architecture"])
    with tempfile.TemporaryDirectory() as room:
        runs = {}
        for name in names:
            widths = {"generator_width": options.width, "discriminator_width": options.width}
            with contextlib.redirect_stdout(io.StringIO()):
                runs[name] = Run(
                    configure(
                        "image",
                        output=f"{room}/{name}",
                        tracker="none",
                        batch_size=options.batch,
                        model={"architecture": name, **widths},
                    )
                )
        counts = {name: iter(range(10**9)) for name in names}

        def play(name: str) -> None:
            for _ in range(STEPS):
                runs[name].play(next(counts[name]))

        times = timed({name: lambda name=name: play(name) for name in names}, options.rounds)
    print(f"one step at 32 x 32, width {options.width}, batch {options.batch}\n")
    print("| | generator, weights | discriminator, weights | milliseconds | ratio |\n|---|---|---|---|---|")
    for name, seconds in times.items():
        milliseconds = statistics.median(seconds) / STEPS * 1000
        sizes = [sum(weight.numel() for weight in part.parameters()) for part in runs[name].game.networks().values()]
        print(f"| {name} | {sizes[0]:,} | {sizes[1]:,} | {milliseconds:.0f} | {ratio(times, name, BASE)} |")


if __name__ == "__main__":
    main()
