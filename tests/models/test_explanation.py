import numpy as np
import pytest
import torch
from torch import nn

from models.explanation import hottest_box, laterality
from models.explanation.gradcam import scores_and_maps
from radloop.domain.enums import Laterality


class Bright(nn.Module):
    """Scores the mean of its own feature map, so the map that explains it is known."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.AvgPool2d(4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.map(batch).mean(dim=(2, 3))


def spot(row: int, column: int, size: int = 8) -> np.ndarray:
    cam = np.zeros((size, size), np.float32)
    cam[row, column] = 1
    return cam


def test_the_map_is_hot_where_the_score_comes_from() -> None:
    network = Bright()
    image = torch.zeros(2, 1, 32, 32)
    image[0, 0, 8:12, 20:24] = 1
    scores, maps = scores_and_maps(network, [network.map], image)
    assert maps.shape == (2, 1, 8, 8)
    assert torch.nonzero(maps[0, 0]).tolist() == [[2, 5]]
    assert maps[0, 0, 2, 5] == 1
    assert maps[1].max() == 0, "nothing raised the score of the black image"
    assert torch.equal(scores, network(image))
    assert not network.map._forward_hooks


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 7)])
def test_the_box_lies_around_the_hottest_point(row: int, column: int) -> None:
    box = hottest_box(spot(row, column), (1000, 500))
    assert box is not None
    left, top, right, bottom = box
    assert 0 <= left <= (column + 0.5) * 500 / 8 <= right <= 500
    assert 0 <= top <= (row + 0.5) * 1000 / 8 <= bottom <= 1000
    assert (right - left) * (bottom - top) < 0.05 * 1000 * 500


def test_only_the_area_of_the_hottest_point_is_boxed_and_a_cold_map_has_none() -> None:
    two = spot(1, 1) + 0.9 * spot(6, 6)
    box = hottest_box(two, (80, 80))
    assert box is not None
    assert box[2] < 40
    assert box[3] < 40
    assert hottest_box(np.zeros((8, 8), np.float32), (80, 80)) is None


@pytest.mark.parametrize(
    ("box", "side"),
    [
        ((10.0, 0.0, 40.0, 10.0), Laterality.RIGHT),
        ((60.0, 0.0, 90.0, 10.0), Laterality.LEFT),
        ((20.0, 0.0, 80.0, 10.0), Laterality.BILATERAL),
        ((5.0, 0.0, 60.0, 10.0), Laterality.RIGHT),
    ],
)
def test_the_pictures_left_is_the_patients_right(box: tuple[float, float, float, float], side: Laterality) -> None:
    assert laterality(box, 100) is side
