"""What each assessment and each term of the pages means, in one sentence with the words of a run."""

from whalecam.words import Words

TITLES = {
    "confirmed_leak": "Confirmed leak",
    "hidden_reliance": "Hidden reliance",
    "background_reliance": "Background reliance",
    "suspect": "Suspect",
    "cosmetic": "Cosmetic",
    "clean": "Clean",
    "not_tested": "Not tested",
    "not_assessable": "Not assessable",
}
MEANINGS = {
    "confirmed_leak": "the network looks at the {words.background}, and its prediction relies on it",
    "hidden_reliance": "the network looks at the {words.subject}, yet its prediction relies on the {words.background}",
    "background_reliance": "the prediction relies on the {words.background}; where the network looks cannot be "
    "assessed",
    "suspect": "the network looks at the {words.background}; whether its prediction relies on it was not tested",
    "cosmetic": "the network looks at the {words.background}, but its prediction does not rely on it",
    "clean": "the network looks at the {words.subject}, and its prediction does not rely on the {words.background}",
    "not_tested": "the network looks at the {words.subject}; whether its prediction relies on the {words.background} "
    "was not tested",
    "not_assessable": "neither where the network looks nor what it relies on can be assessed",
}
WITHOUT_MAPS = "its prediction does not rely on the {words.background}; where the network looks was not measured"
TERMS = {
    "Held-out image": "One that the network was not trained on. Accuracy and loss are of these alone.",
    "Class activation map": "How much each place of an image adds to a class's logit. All places and a bias add up to "
    "the logit; what is missing is the completeness error.",
    "Attention score": "How much of the evidence lies on the {words.background}, whatever the size of the "
    "{words.subject}. 0: a map shaped like the {words.subject}. 1: no better than a flat map; from there on, the "
    "network counts as looking at the {words.background}, unless the threshold is moved.",
    "Background test": "The {words.subject} is put on the {words.background} of other images, and the network predicts "
    "again.",
    "Reliance": "How far the probability of the prediction drops in the background test. 0: not at all. 0.9: from "
    "95\u00a0% to 5\u00a0%, say.",
    "Probability of reliance": "How probable it is that the prediction of an image relies on its {words.background}, "
    "by all exchanges of its class.",
    "False discovery rate": "Of the images listed as relying on the {words.background}, the share that may be listed "
    "by mistake, on average.",
    "BG-gap": "How much more probable a prediction is on {words.backgrounds} of its own label than on those of other "
    "labels. 0: they do not matter. 0.4: 40 points of probability.",
    "Suspect": "An image whose assessment is confirmed leak, hidden reliance, background reliance or suspect.",
}
"""Term → its meaning, with one number where it has one."""


def meaning(assessment: str, words: Words, *, has_maps: bool = True) -> str:
    """One of ASSESSMENTS in words, without a capital and a full stop.

    Args:
        has_maps: whether the audit measured where the network looks.
    """
    text = WITHOUT_MAPS if assessment == "clean" and not has_maps else MEANINGS[assessment]
    return text.format(words=words)


def glossary(words: Words) -> dict[str, str]:
    """Every term of the pages → what it means: the measures, then the assessments."""
    measures = {term: text.format(words=words) for term, text in TERMS.items()}
    texts = {title: meaning(name, words) for name, title in TITLES.items()}
    return measures | {
        title: f"{text[:1].upper()}{text[1:]}." for title, text in texts.items() if title not in measures
    }
