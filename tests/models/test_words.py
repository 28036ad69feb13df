"""Classes in words: other labels, the same scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import CLASSES, WIDTH

from dsanet_cli.config import AnomalyClass
from dsanet_cli.errors import ModelError
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.words import with_classes

OTHERS = (AnomalyClass("calm", ("people walking",)), AnomalyClass("fall", ("a person falls", "someone on the floor")))


@pytest.fixture(scope="module")
def model(tiny_model):
    return load_model(str(tiny_model))


def scores(model):
    features = torch.from_numpy(np.random.default_rng(3).standard_normal((20, WIDTH)).astype(np.float32))
    return score_snippets(model.head, features, model.text_features, model.config.temperature)


def test_its_own_prompts_give_its_own_probabilities(model):
    same = with_classes(model, CLASSES)
    np.testing.assert_allclose(scores(same).probabilities, scores(model).probabilities, atol=1e-6)


def test_other_words_change_what_and_not_when(model):
    other = with_classes(model, OTHERS)
    assert other.config.class_names == ("calm", "fall")
    assert torch.equal(scores(other).scores, scores(model).scores)
    assert scores(other).probabilities.shape == (20, 2)
    assert not torch.allclose(other.text_features[1], model.text_features[1])


def test_results_of_other_words_are_told_apart(model):
    prompts = (OTHERS[0], AnomalyClass("fall", ("a person falls",)))
    hashes = {model.sha256, with_classes(model, OTHERS).sha256, with_classes(model, prompts).sha256}
    assert len(hashes) == 3


def test_a_prompt_that_is_too_long_is_said(model):
    with pytest.raises(ModelError, match="longer than the 16 tokens"):
        with_classes(model, (OTHERS[0], AnomalyClass("long", ("word " * 30,))))
