"""The averaged weights, step by step and by hand."""

import copy

import pytest
import torch
from torch import nn

from core.training.loop.optimization import WeightAverage


def test_the_average_follows_the_weights_and_copies_the_statistics() -> None:
    model = nn.BatchNorm1d(1)
    nn.init.constant_(model.weight, 1.0)
    average = WeightAverage(model, 0.5)
    expected = 1.0
    for steps_done, weight in enumerate((4.0, -2.0, 8.0, 3.0, 5.0, 1.0, 9.0, 2.0, 6.0, 7.0), start=1):
        nn.init.constant_(model.weight, weight)
        model(torch.randn(4, 1))
        average.update(model, steps_done)
        # TensorFlow's ExponentialMovingAverage: min(decay, (1 + num_updates) / (10 + num_updates)).
        keep = min(0.5, (1 + steps_done) / (10 + steps_done))
        expected = keep * expected + (1 - keep) * weight
        assert average.model.get_parameter("weight").item() == pytest.approx(expected)
        assert torch.equal(average.model.get_buffer("running_var"), model.get_buffer("running_var"))
    assert (1 + 8) / (10 + 8) == 0.5, "both sides of the minimum were taken"


def test_averaging_touches_neither_the_model_nor_weights_that_stand_still() -> None:
    model = nn.Linear(3, 2)
    before = copy.deepcopy(model.state_dict())
    average = WeightAverage(model, 0.999)
    for steps_done in range(1, 4):
        average.update(model, steps_done)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(torch.equal(before[key], value) for key, value in average.model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
