"""The built-in digits."""

from importlib.metadata import distribution

import datasets
import numpy


def digits() -> datasets.Dataset:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels of 17 greys, with their classes.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    # The file itself: sklearn.datasets.load_digits reads it too, but importing that takes half as long as torch.
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    rows = numpy.loadtxt(str(file), delimiter=",")  # 64 pixels and the class
    images = (rows[:, :64].reshape(-1, 8, 8) * (255 / 16)).round().astype(numpy.uint8)
    features = datasets.Features(
        image=datasets.Array2D((8, 8), "uint8"), label=datasets.ClassLabel(names=[str(digit) for digit in range(10)])
    )
    return datasets.Dataset.from_dict({"image": images, "label": rows[:, 64].astype(int)}, features=features)
