import dataclasses

import pytest

import kerasbert
from kerasbert.errors import InputError
from kerasbert.explaining.swapping import Swap, SwappedText, summarise, swap_terms
from kerasbert.explaining.terms import Terms

TERMS = Terms((("dog", "cat"), ("man", "woman", "idiot")))


def test_each_term_is_exchanged_for_each_other_of_its_group(make_classifier):
    classifier = make_classifier()
    texts = ["The man sings to a dog", "you are kind", ""]
    first, *others = swap_terms(classifier, texts, terms=TERMS)
    expected = [
        ("man", "woman", "The woman sings to a dog"),
        ("man", "idiot", "The idiot sings to a dog"),
        ("dog", "cat", "The man sings to a cat"),
    ]
    assert [(swap.term, swap.other, swap.text) for swap in first.swaps] == expected
    assert [text.swaps for text in others] == [(), ()]
    before, *after = classifier.predict_proba([texts[0], *(text for *_, text in expected)])[:, 1]
    assert first.probability == pytest.approx(before, abs=1e-5)
    for swap, probability in zip(first.swaps, after, strict=True):
        assert swap.change == pytest.approx(probability - before, abs=1e-5)
        assert swap.decision == classifier.predict([swap.text])[0]
        assert swap.is_flipped == (swap.decision != first.decision)


def test_both_texts_of_a_pair(make_classifier):
    classifier = make_classifier(pair_column="other")
    (text,) = swap_terms(classifier, ["a dog"], ["the dog, not a cat"], terms=TERMS)
    (swap,) = text.swaps  # and not once more from cat to dog, which gives the same
    assert (swap.term, swap.text, swap.pair) == ("dog", "a cat", "the cat, not a dog")


def test_terms_that_stand_for_each_other_are_exchanged_once(make_classifier):
    (text,) = swap_terms(make_classifier(), ["a woman with a man"], terms=TERMS)
    assert [(swap.term, swap.other, swap.text) for swap in text.swaps] == [
        ("woman", "man", "a man with a woman"),
        ("woman", "idiot", "a idiot with a man"),
        ("man", "idiot", "a woman with a idiot"),
    ]


def test_a_regression_flips_nothing(make_classifier):
    classifier = make_classifier(task="regression", pooling="pooler", head="linear")
    (text,) = swap_terms(classifier, ["a dog"], terms=TERMS)
    assert text.swaps[0].change != 0
    assert not text.swaps[0].is_flipped


def test_another_label_no_texts_and_an_unknown_one(make_classifier):
    classifier = make_classifier(task="multilabel", pooling="max", head="mlp")
    (text,) = swap_terms(classifier, ["a dog"], terms=TERMS, label="insult")
    assert text.probability == pytest.approx(classifier.predict_proba(["a dog"])[0, 2], abs=1e-5)
    assert swap_terms(classifier, [], terms=TERMS) == []
    with pytest.raises(InputError, match=r"Did you mean 'threat'\?"):
        swap_terms(classifier, ["a dog"], terms=TERMS, label="treat")


def test_decisions_in_words(make_classifier):
    run = make_classifier(task="multilabel", pooling="max", head="mlp").run
    labels = dataclasses.replace(run.labels, thresholds=(0.0, 1.0, 0.0))
    classifier = kerasbert.Classifier(dataclasses.replace(run, labels=labels))
    (text,) = swap_terms(classifier, ["a dog"], terms=TERMS)
    assert (text.decision, text.swaps[0].decision) == ("toxic, insult", "toxic, insult")
    run = make_classifier(task="multiclass", pooling="mean", head="linear", lora_rank=2).run
    labels = dataclasses.replace(run.labels, unsure_below=1.0)
    classifier = kerasbert.Classifier(dataclasses.replace(run, labels=labels))
    assert swap_terms(classifier, ["a dog"], terms=TERMS)[0].decision == "don't know"


def test_the_summary_of_a_term():
    def swapped(*swaps):
        made = (
            Swap("man", other, "", None, 0.0, change, "rude", is_flipped)
            for other, change, is_flipped in swaps
        )
        return SwappedText("", None, "rude", 0.5, "rude", tuple(made))

    rows = summarise([
        swapped(("woman", 0.1, False), ("person", -0.2, True)),
        swapped(("woman", -0.3, True)),
        swapped(),
    ])  # fmt: skip
    found = [(row.term, row.num_swaps, row.largest_change, row.num_flipped) for row in rows]
    assert found == [("person", 1, -0.2, 1), ("woman", 2, -0.3, 1)]
    assert rows[1].mean_change == pytest.approx(-0.1)
