"""R3GAN's burn-in against values worked by hand."""

import pytest

from multigan.engine.burn_in import burn_in


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # (1 - cos 60 degrees) / 2 is a quarter of the way, after a third of the steps.
        (0, (1, 1, 0.9, 0)),
        (4, (1 - 0.75 / 4, 1 - 0.9 / 4, 0.9 + 0.09 / 4, 0.5)),
        (6, (1 - 0.75 / 2, 1 - 0.9 / 2, 0.9 + 0.09 / 2, 0.5**0.5)),
        (12, (0.25, 0.1, 0.99, 0.5**0.25)),
        (1000, (0.25, 0.1, 0.99, 0.5**0.25)),
    ],
)
def test_values_by_hand(step, expected):
    # Half of the average is forgotten after four steps; after a quarter of the way, after one.
    assert burn_in(step, 12, second_beta=0.99, ema_decay=0.5**0.25) == pytest.approx(expected, abs=1e-12)


def test_the_published_values_of_ffhq():
    # 256 pictures a step; 20 million of burn-in; R1 and R2 of 2; an average with a half-life of 500,000 pictures.
    batch, decay = 256, 0.5 ** (256 / 500_000)
    end = burn_in(78_125, 20_000_000 // batch, second_beta=0.99, ema_decay=decay)
    assert (2e-4 * end.rate, 2 * end.penalty) == pytest.approx((5e-5, 0.2))
    assert (end.second_beta, end.ema_decay) == pytest.approx((0.99, decay))
    assert decay == pytest.approx(0.99965, abs=5e-6)


def test_no_average_is_kept_at_the_start():
    assert burn_in(1, 10**6, second_beta=0.99, ema_decay=0.999) == pytest.approx((1, 1, 0.9, 0), abs=1e-9)
