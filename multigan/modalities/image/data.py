"""What is said of a dataset of pictures at the start of a run."""

from multigan.classes import class_note
from multigan.modalities.image.config import ImageConfig
from multigan.pictures.decoding import Scan

FEW = 5_000  # pictures that a discriminator without augmentation soon memorizes: Karras et al. 2020, ADA


def report(found: Scan, count: int | None, config: ImageConfig, augmented: bool) -> str:
    """What was found in a dataset of pictures and how they are converted, in one line.

    Args:
        found: What the pictures are.
        count: How many there are; None for a stream.
        config: What they are brought to.
        augmented: Whether any augmentation is on.
    """
    kind = {1: "grey", 3: "colour", 4: "colour and transparency"}[config.channels or 3]
    kind += f" of {config.bits} bits" if config.bits != 8 else ""
    height, width = config.sides
    if any(size[0] * width != size[1] * height for size in found.sizes):
        kind += {"crop": ", center cropped", "pad": ", padded", "stretch": ", stretched"}[config.fit]
    how_many = "a stream of" if count is None else f"{count:,}"
    sides = " to ".join("{} x {}".format(*size) for size in dict.fromkeys(found.sizes[:1] + found.sizes[-1:]))
    parts = [
        f"{how_many} picture{'s' * (count != 1)}{f' of {sides} pixels' if sides else ', none of which can be read'}",
        f"each as {' x '.join(map(str, config.sides))}, {kind}",
    ]
    parts += class_note(config)
    if found.transparent and config.channels != 4:
        parts.append(f"transparency composited on white in {found.transparent:,}")
    if found.several:
        parts.append(f"the first frame or page alone of {found.several:,} that have several")
    if count is not None and found.looked_at < count:
        parts.append(f"{found.looked_at:,} of them looked at")
    if count is not None and count < FEW and not augmented:
        parts.append(
            "so few are soon memorized by the discriminator: --model.rotation 10 --model.scaling 0.1 "
            "--model.shift 0.05 augment them, and so does --model.flip true where mirror images are plausible"
        )
    return "; ".join(parts)
