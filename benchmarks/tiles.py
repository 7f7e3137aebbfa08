"""What enlarging a photograph in tiles takes: time, and the peak memory of a process of its own.

    OMP_NUM_THREADS=1 uv run benchmarks/tiles.py [--factor 2] [--width 8]

The photograph is scikit-learn's china.jpg, resized to 3 and to 12 megapixels; the network is small and was not trained.
Each is read, enlarged, written and shown as `multigan generate --input` does it. "Beside" is the peak above that of a
picture of 64 x 48 pixels, without the output itself, in float32, and without the input, which is kept for the preview.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path

SIZES = (64, 48), (2000, 1500), (4000, 3000)
CHANNELS, BYTES = 3, 4


def work(folder: Path, factor: int, width: int) -> None:
    """Be the process that enlarges one picture; print its seconds and its peak in MB."""
    from multigan.cli.inputs import Shown, save_outputs
    from multigan.generation.generator import TrainedGenerator
    from multigan.modalities.image_to_image import ImageToImage
    from multigan.modalities.image_to_image.config import ImageToImageConfig

    config = ImageToImageConfig(task="enlarge", factor=factor, generator_width=width, blocks=1, channels=CHANNELS)  # type: ignore[arg-type]
    modality = ImageToImage(config)
    generator = TrainedGenerator("image-to-image", modality, modality.generator().eval())
    begun, shown = time.perf_counter(), Shown()
    save_outputs(modality, generator.from_inputs([folder / "in.png"]), ["out"], folder, shown)
    shown.write(modality, folder / "preview")
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB, on Linux
    print(json.dumps([seconds, peak]))


def measured(size: tuple[int, int], factor: int, width: int) -> tuple[float, float]:
    """Seconds and peak in MB for a picture of this width and height."""
    from PIL import Image

    file = distribution("scikit-learn").locate_file("sklearn/datasets/images/china.jpg")
    with tempfile.TemporaryDirectory() as folder:
        with Image.open(str(file)) as photograph:
            photograph.resize(size, Image.Resampling.BICUBIC).save(f"{folder}/in.png", compress_level=1)
        command = [sys.executable, __file__, "--work", folder, "--factor", f"{factor}", "--width", f"{width}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=int, choices=(2, 4, 8), default=2)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.factor, options.width)
        return
    print(f"x{options.factor}, width {options.width}, one block, one thread\n")
    print("| input | seconds | peak, MB | input and output in float32, MB | beside, MB |\n|---|---|---|---|---|")
    least = 0.0
    for size in SIZES:
        seconds, peak = measured(size, options.factor, options.width)
        least = least or peak
        tensors = size[0] * size[1] * CHANNELS * BYTES * (1 + options.factor**2) / 2**20
        name = f"{size[0]} x {size[1]}"
        print(f"| {name} | {seconds:.1f} | {peak:.0f} | {tensors:.0f} | {peak - least - tensors:.0f} |", flush=True)


if __name__ == "__main__":
    main()
