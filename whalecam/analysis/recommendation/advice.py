"""Which remedy the evidence supports, in plain words: verdicts, simulation and trainings compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whalecam.analysis.recommendation.leaks import relying_sentence
from whalecam.analysis.recommendation.simulated_metrics import PRESENT, RemedyMetrics
from whalecam.config import LAYER_REMEDIES, mending_of, parts_of
from whalecam.stats import Interval
from whalecam.store.table import LeakCounts, wilson
from whalecam.text import percent_interval, points_interval
from whalecam.words import Words

NEGLIGIBLE = 0.02
"""A share of leaks surely below this calls for no remedy."""
ENOUGH = 0.5
"""A mended data set is worth its trouble where it wins back this share of what other backgrounds cost."""
REMEDIES = {
    "head": "fit the last layer again on exchanged {words.backgrounds}, in seconds",
    "project": "take a cue, by default the {words.background}, out of what the last layer reads, in seconds",
    "crop": "crop to the {words.subject}",
    "neutral": "lay one neutral colour over the {words.background}",
    "shuffle": "train with {words.backgrounds} exchanged between the labels",
    "restrict": "train so that looking away from the {words.subject} costs",
}
"""What each remedy does, with the words of a run in braces."""
INSTEAD = "Train with a remedy where the network was trained, audit the result, and compare the runs."
"""What to do about a network with which remedies cannot be simulated."""


@dataclass(frozen=True)
class Measured:
    """What retraining with a remedy changed on the same images: accuracy on swapped backgrounds and on their own."""

    remedy: str
    run: str
    unseen: Interval
    own: Interval

    @property
    def helped(self) -> bool:
        """Surely better on swapped backgrounds. Accuracy on the own ones rewards the leak, so it has no veto."""
        return self.unseen.low > 0

    def plain(self) -> dict[str, object]:
        """All of it for JSON, both differences by `value`, `low` and `high`."""
        return {**vars(self), "unseen": self.unseen._asdict(), "own": self.own._asdict()}

    @property
    def changed(self) -> str:
        """Both differences in points."""
        own = points_interval(*self.own)
        return f"{points_interval(*self.unseen)} of accuracy on swapped backgrounds, {own} on the images' own"


@dataclass(frozen=True)
class Advice:
    """`remedy` out of TRAIN_REMEDIES, None where none is supported; `sentence` says so; `why` with numbers.

    `todo` is the next step: `audit`, `simulate`, `retrain`, `compare` with the run `before` or `after` this one, or
    nothing.
    """

    remedy: str | None
    sentence: str
    why: tuple[str, ...] = ()
    todo: str = ""
    before: str = ""
    after: str = ""

    def plain(self) -> dict[str, object]:
        """All of it for JSON, in which the sentence is called `said`."""
        fields = dict(vars(self))
        return {"remedy": fields.pop("remedy"), "said": fields.pop("sentence"), **fields}


def remedy_words(remedy: str, words: Words) -> str:
    """What a remedy does, as in `crop to the animal`, its parts one after the other; "no remedy" for another name."""
    return ", then ".join(REMEDIES.get(part, "no remedy") for part in parts_of(remedy)).format(words=words)


def recommend(
    facts: LeakCounts,
    simulated: Mapping[str, RemedyMetrics] | None = None,
    measured: Sequence[Measured] = (),
    *,
    own: str = "none",
    since: Measured | None = None,
    words: Words = Words(),
    obstacle: str = "",
) -> Advice:
    """What to do about the leaks of a run.

    Args:
        facts: `Table.overview()`: `measured` images whose background was exchanged; `confirmed`, `hidden` and
            `background` among them.
        simulated: `figures` of `simulation.json`, None before a simulation.
        measured: trainings with a remedy, compared with this run.
        own: the remedy that this run was trained with.
        since: what that changed, against an untouched `run`.
        words: of the run.
        obstacle: why remedies cannot be simulated with this network, in words; empty where they can.
    """
    leak = _leak(facts, words)
    if early := _without_remedy(facts, leak, words):
        return early
    tried = {part for remedy in (own, *(training.remedy for training in measured)) for part in parts_of(remedy)}
    helped = sorted((training for training in measured if training.helped), key=lambda training: -training.unseen.value)
    if helped:
        return _proved(helped[0], leak, words)
    if since is not None and since.helped:
        return Advice(
            own,
            f"This network was trained with {own}, and that helped ({remedy_words(own, words)}).",
            (leak, f"Measured against {since.run}: {since.changed}."),
            "compare",
            before=since.run,
        )
    # A training with shuffle is judged as it is alone; mended images cannot be mended again.
    if simulated is None or (not mending_of(own) and set(simulated) == {PRESENT}):
        if obstacle:
            return Advice(None, f"Remedies cannot be simulated here, since {obstacle}. {INSTEAD}", (leak,))
        return Advice(None, "Simulate the remedies first: it takes minutes, not a training.", (leak,), "simulate")
    return _predicted(simulated, tried, leak, _failures(measured), words)


def _hits(facts: LeakCounts) -> tuple[int, int]:
    """How many images rely on their background, and of how many that was tested."""
    return sum(int(facts[name] or 0) for name in ("confirmed", "hidden", "background")), int(facts["measured"] or 0)


def _leak(facts: LeakCounts, words: Words) -> str:
    """The share that relies on its background in words, and the classes that do as a whole."""
    hits, tested = _hits(facts)
    rate = percent_interval(*wilson(hits, tested))
    leak = f"{hits:,} of {tested:,} tested images rely on their {words.background}: {rate}."
    relying = facts.get("relying", ())
    return f"{leak} {relying_sentence(relying, words)}" if relying and not hits else leak


def _without_remedy(facts: LeakCounts, leak: str, words: Words) -> Advice | None:
    """The advice for a run whose leaks are not tested yet, or negligible; None where they call for a remedy."""
    hits, tested = _hits(facts)
    if not tested:
        sentence = (
            f"Attention on the {words.background} is no reason for a remedy yet: audit with the background test first."
        )
        return Advice(None, sentence, todo="audit")
    relies_as_a_whole = not hits and facts.get("relying", ())
    if not relies_as_a_whole and (not hits or wilson(hits, tested).high < NEGLIGIBLE):
        sentence = f"No remedy is called for: next to no prediction relies on the {words.background}."
        return Advice(None, sentence, (leak,))
    return None


def _proved(best: Measured, leak: str, words: Words) -> Advice:
    """A training that helped stands above every prediction."""
    return Advice(
        best.remedy,
        f"Take run {best.run}: {best.remedy} helped ({remedy_words(best.remedy, words)}).",
        (leak, f"Measured: {best.changed}."),
        "compare",
        after=best.run,
    )


def _predicted(
    simulated: Mapping[str, RemedyMetrics], tried: set[str], leak: str, failed: tuple[str, ...], words: Words
) -> Advice:
    """The simulated remedy that wins back enough; else the exchange of backgrounds, if others cost anything."""
    cost = Interval(*simulated[PRESENT]["all"]["water_cost"])
    gains = {name: Interval(*metrics["all"]["unseen_gain"]) for name, metrics in simulated.items() if name != PRESENT}
    sentences = tuple(
        f"Simulated {name} ({remedy_words(name, words)}): {points_interval(*gain)} of accuracy on swapped backgrounds."
        for name, gain in gains.items()
    )
    own = f"An image's own {words.background} against another label's: {points_interval(*cost)} of accuracy."
    why = (leak, own, *sentences, *failed)
    sure = {name: gain for name, gain in gains.items() if gain.low > 0 and name not in tried}
    best = max(sure, key=lambda name: sure[name].value, default=None)
    # These take seconds, and a training can follow: they come first, and need not win back as much where none does.
    best = next((name for name in LAYER_REMEDIES if name in sure and sure[name].value >= ENOUGH * cost.value), best)
    if cost.low <= 0 and best is None:
        nothing = f"No remedy is supported: other {words.backgrounds} cost the network nothing that could be measured."
        return Advice(None, nothing, why)
    if best is not None and (best in LAYER_REMEDIES or sure[best].value >= ENOUGH * cost.value):
        return Advice(
            best,
            f"The evidence supports {best}: {remedy_words(best, words)}. The network is right more often so.",
            why,
            "retrain",
        )
    if "shuffle" not in tried:
        lead = "Before a training, mending the images wins too little back"
        sentence = f"The evidence supports shuffle: {remedy_words('shuffle', words)}. {lead}."
        return Advice("shuffle", sentence, why, "retrain")
    if best is not None:
        return Advice(best, f"What is left to try is {best}: {remedy_words(best, words)}.", why, "retrain")
    return Advice(
        None, "No remedy helps: none that was tried or simulated is surely better on swapped backgrounds.", why
    )


def _failures(measured: Sequence[Measured]) -> tuple[str, ...]:
    return tuple(
        f"Measured: {training.remedy} did not help: {points_interval(*training.unseen)} of accuracy on swapped "
        "backgrounds."
        for training in measured
    )
