"""Holds the metrics of pairs of pictures, by numbers worked out by hand, and the segmenter."""

import math

import pytest
import torch
import torchvision

from multigan.modalities.image_to_image import metrics


def flat(*values, channels=3, side=16):
    """Pictures of one value each."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, channels, side, side).contiguous()


def noise(count=4, channels=3, side=16, seed=0):
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# --- near the truth ---


def test_l1_is_on_the_scale_from_black_to_white():
    real = flat(-1.0, -1.0, 0.5)
    made = flat(1.0, -1.0, 0.0)
    made[1, :, :4] = 0.0  # a quarter of the rows, half of the range away
    assert metrics.l1(made, real).tolist() == pytest.approx([1, 0.125, 0.25])


def test_psnr_in_decibels():
    # Off by 1, 0.1 and 0.01 of the range: 0, 20 and 40 dB. Half of the pixels off by 0.1: 10 log10(2) more than 20.
    real = flat(-1.0, 0.0, 0.0, 0.0, 0.3)
    made = flat(1.0, 0.2, -0.02, 0.2, 0.3)
    made[3, :, :8] = 0.0
    assert metrics.psnr(made, real).tolist() == pytest.approx([0, 20, 40, 20 + 10 * math.log10(2), 100], abs=1e-3)


def test_ssim_of_flat_pictures_is_that_of_their_means():
    # Without variance (2 m n + c) / (m^2 + n^2 + c) is left, c = 0.01^2, of means from 0 to 1.
    found = metrics.ssim(flat(0.0, 1.0, 0.5), flat(1.0, -1.0, 0.5))
    assert found.tolist() == pytest.approx([1.0001 / 1.2501, 1e-4 / 1.0001, 1], abs=1e-5)


def test_ssim_of_a_negative_is_below_zero_and_of_less_contrast_below_one():
    real = noise()
    # Around a mean of one half in both, less contrast k gives 2 k / (1 + k^2), but for the constants.
    found = metrics.ssim(torch.cat([real, real / 2, -real]), torch.cat([real] * 3)).view(3, 4).mean(1)
    assert found[0].item() == pytest.approx(1, abs=1e-5) and found[1].item() == pytest.approx(0.8, abs=0.05)
    assert found[2].item() < -0.8


def test_ssim_has_a_window_of_eleven_pixels_and_a_value_for_each():
    from torchmetrics.functional.image import structural_similarity_index_measure

    real, made = noise(), noise(seed=1)
    for one, value in zip(range(4), metrics.ssim(made, real), strict=True):
        pictures = ((picture[one : one + 1] + 1) / 2 for picture in (made, real))
        assert value.item() == pytest.approx(structural_similarity_index_measure(*pictures, data_range=1.0).item())


@pytest.mark.parametrize("side", [1, 2, 3, 8, 10])
def test_ssim_of_small_pictures(side):
    real = noise(side=side)
    assert metrics.ssim(real, real).tolist() == pytest.approx([1] * 4, abs=1e-4)
    assert (metrics.ssim(-real, real) < 0.9).all()


def test_psnr_and_l1_put_grey_above_good_colours_of_another_kind():
    # Red or blue, by chance: a mean in between is nearer to the truth than the other colour is.
    red = flat(1.0).clone()
    red[:, 1:], blue = -1, flat(1.0).clone()
    blue[:, :2] = -1
    grey = (red + blue) / 2
    assert metrics.psnr(grey, red) > metrics.psnr(blue, red) and metrics.l1(grey, red) < metrics.l1(blue, red)


# --- LPIPS ---


@pytest.fixture
def weights_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_without_weights_lpips_is_left_out_and_the_report_says_so(weights_home):
    found = metrics.picture_metrics(64)
    (note,) = found.notes
    assert note.startswith("LPIPS is left out") and "alexnet" in note and "\n" not in note
    assert set(found.compute(noise(), noise(seed=1), None)) == {"l1", "psnr", "ssim"}
    assert not list(weights_home.iterdir()), "nothing is downloaded"
    assert "too small" in metrics.picture_metrics(16).notes[0]


def test_lpips_where_there_are_weights(weights_home, monkeypatch):
    # The file of the right name is enough for it to be tried; SqueezeNet is fifty times smaller than AlexNet.
    alexnet = torchvision.models.AlexNet_Weights.DEFAULT.url.rsplit("/", 1)[1]
    (weights_home / alexnet).touch()
    torch.manual_seed(0)
    weights = torchvision.models.squeezenet1_1(weights=None).state_dict()
    torch.save(weights, weights_home / torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[1])
    whole = metrics.lpips_network
    monkeypatch.setattr(metrics, "lpips_network", lambda backbone: whole({"alex": "squeeze"}[backbone]))
    found = metrics.picture_metrics(64)
    assert found.notes == ()
    real, made = noise(2, side=64), noise(2, side=64, seed=1)
    made[1] = real[1]
    values = found.compute(made, real, None)["lpips"]
    assert values.shape == (2,) and values[0] > 0 and values[1] == 0
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

    expected = learned_perceptual_image_patch_similarity(made, real, net_type="squeeze").item()
    assert values.mean().item() == pytest.approx(expected, rel=1e-4)
    grey = found.compute(made[:, :1], real[:, :1], None)["lpips"]
    assert grey[0] > 0 and grey[1] == 0


# --- label maps ---


def test_agreement_of_maps_by_hand():
    asked = torch.tensor([[[0, 0], [1, 1]], [[2, 2], [2, 2]], [[0, 1], [9, 9]]])
    found = torch.tensor([[[0, 1], [1, 1]], [[0, 0], [0, 0]], [[0, 1], [0, 2]]])
    # Class 0: one of two pixels. Class 1: two of three. Class 2 is in neither map. 9 is no class and does not count.
    assert metrics.pixel_accuracy(found, asked, 3).tolist() == pytest.approx([0.75, 0, 1])
    assert metrics.mean_iou(found, asked, 3).tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 0, 1])


def scenes(count, seed=0):
    """Pictures with a rectangle of one colour on another, some noise, and their maps."""
    random = torch.Generator().manual_seed(seed)
    maps = torch.zeros(count, 17, 18, dtype=torch.int64)
    for one in maps:
        top, left, which = (int(torch.randint(high, (), generator=random)) for high in (10, 10, 2))
        one[top : top + 6, left : left + 7] = 1 + which
    colours = torch.tensor([[-0.5, -0.5, -0.5], [0.8, 0.0, 0.0], [0.0, 0.0, 0.8]])
    pictures = colours[maps].permute(0, 3, 1, 2)
    return pictures + 0.3 * torch.randn(pictures.shape, generator=random), {"map": maps}


def test_segmenter_knows_real_pictures_and_sees_what_is_at_the_wrong_place():
    state = torch.get_rng_state()
    trained = [metrics.segmenter_metrics([scenes(64)], 3, lambda told: told["map"], steps=60) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    real, told = scenes(16, seed=1)
    values, again = (one.compute(real, real, told) for one in trained)
    assert all(torch.equal(values[name], again[name]) for name in values), "the same every time"
    assert values["segmenter_accuracy"].shape == (16,)
    assert values["segmenter_accuracy"].mean() > 0.97 and values["segmenter_mean_iou"].mean() > 0.9
    wrong = trained[0].compute(real.flip(2), real, told)
    assert wrong["segmenter_mean_iou"].mean() < 0.75
    lost = trained[0].compute(torch.full_like(real, -0.5), real, told)
    assert lost["segmenter_mean_iou"].mean() < 0.5


def test_segmenter_does_not_learn_from_pixels_without_a_class():
    pictures, told = scenes(32)
    maps = told["map"].clone()
    maps[:, 8:] = 255  # half is not labelled
    trained = metrics.segmenter_metrics([(pictures, maps)], 3, lambda told: told, steps=60)
    values = trained.compute(pictures, pictures, told["map"])
    assert values["segmenter_accuracy"].mean() > 0.95


def test_metrics_of_several_kinds_together():
    one = metrics.PairMetrics(lambda made, real, told: {"one": made}, ("a",))
    other = metrics.PairMetrics(lambda made, real, told: {"other": real}, ("b", "c"))
    both = metrics.together(one, other)
    assert both.compute(1, 2, None) == {"one": 1, "other": 2} and both.notes == ("a", "b", "c")
