"""One name for one thing: no two parameters of the public API are spelled alike, none is a known synonym."""

from __future__ import annotations

import inspect
import itertools
from collections import defaultdict
from collections.abc import Iterator
from types import ModuleType

import pytest

import neurokit_snn

# The house name, and what other packages call it.
SYNONYMS = {
    "seed": {"random_state", "rng_seed", "random_seed", "key"},
    "bin_width": {"bin_size", "binsize", "dt", "binwidth", "bin_length", "resolution"},
    "start": {"t_start", "tstart", "t0", "begin", "onset"},
    "stop": {"t_stop", "tstop", "t1", "end", "offset_time"},
    "gap": {"embargo", "purge", "guard"},
    "folds": {"n_folds", "n_splits", "nfolds", "k_folds"},
    "progress": {"verbose", "progress_bar", "show_progress", "pbar"},
    "overwrite": {"force", "exist_ok", "clobber", "replace"},
    "path": {"filename", "file_name", "filepath", "file_path", "fname"},
    "n_jobs": {"workers", "n_workers", "num_workers", "processes"},
    "unit": {"neuron", "cell", "cluster"},
    "draws": {"n_draws", "n_samples", "num_samples"},
}

# A synonym that is another thing in one place, with its reason.
OTHER_THING = {
    ("dt", "recording.spike_stream.Windows"): "bins between the start of a window and a token",
    ("neuron", "snn.network.Recurrent"): "a layer of model neurons",
    ("neuron", "models.spiking.encoder.SpikingEncoder"): "kind of the model neurons; units are recorded",
    ("neuron", "models.spiking.decoder.SpikingDecoder"): "kind of the model neurons; units are recorded",
    ("neuron", "models.spiking.bayesian.BayesianSpiking"): "kind of the model neurons; units are recorded",
}

# Words whose singular takes one thing and whose plural takes several of it, or a mapping by name.
ONE_AND_SEVERAL = {
    "covariate", "epoch", "estimate", "kind", "metric", "model", "seed", "signal", "subject", "tree", "trial", "unit",
}  # fmt: skip

# Pairs that look alike and are different things; each with its reason.
ALLOWED: dict[frozenset[str], str] = {
    frozenset(("bin", "bins")): "which bin of its trial a spike is in; of how many bins a tuning curve is",
    frozenset(("block", "blocks")): "seconds to resample together; the statistics of such blocks in a metric",
    frozenset(
        ("features", "in_features")
    ): "units of one population; of the sources of a layer, as torch says",
    frozenset(("kernel", "kernel_count")): "of a prior or a stimulus; synapses of a pair, as the paper says",
    frozenset(("null", "nulls")): "the values of a null statistic; how many a comparison makes",
    frozenset(("level", "levels")): "probability of an interval; most spikes of a step",
    frozenset(("other", "others")): "the model on the other axis; behaviour of the other sessions",
    frozenset(("rate", "rates")): "expected counts of a bin; factors of the learning rate by parameter",
    frozenset(("state", "states")): "of a file that the doctor found; number of latent states, as PSID says",
    frozenset(
        ("statistic", "statistics")
    ): "a function of spikes and behaviour; what a metric keeps of a block",
} | {frozenset((word, word + "s")): "one and several" for word in ONE_AND_SEVERAL}

COUNT_WORDS = {"n", "num", "nb", "number", "nr", "count"}
FILLERS = {"of", "the", "per", "in", "to"}


def _tokens(name: str) -> tuple[str, ...]:
    """Words of a name without their order, number or filler: n_step, num_steps and step_count are one."""
    words = []
    for word in name.lower().strip("_").split("_"):
        if word in FILLERS:
            continue
        if word in COUNT_WORDS:
            words.append("#")
        elif len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
            words.append(word[:-1])
        else:
            words.append(word)
    return tuple(sorted(words))


def _one_edit_apart(left: str, right: str) -> bool:
    """Whether one inserted, deleted or replaced letter, or two letters swapped, makes one name the other."""
    if abs(len(left) - len(right)) > 1 or left == right:
        return False
    if len(left) == len(right):
        differ = [at for at, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
        if len(differ) == 2:
            first, second = differ
            return second == first + 1 and left[first] == right[second] and left[second] == right[first]
        return len(differ) == 1
    short, long = sorted((left, right), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


def near_duplicates(names: set[str]) -> set[frozenset[str]]:
    """Pairs of names that a user would mix up."""
    pairs = set()
    for left, right in itertools.combinations(sorted(names), 2):
        alike = _tokens(left) == _tokens(right)
        joined = "".join(_tokens(left)), "".join(_tokens(right))
        # Short words are one letter apart by chance (block and clock); long ones by carelessness.
        if alike or (min(map(len, joined)) >= 6 and _one_edit_apart(*joined)):
            pairs.add(frozenset((left, right)))
    return pairs


def _public_names(module: ModuleType = neurokit_snn) -> Iterator[object]:
    """What can be reached from the package root through names that are offered."""
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, ModuleType):
            yield from _public_names(thing)
        else:
            yield thing


def _signatures(thing: object, name: str) -> Iterator[tuple[str, inspect.Signature]]:
    """Of a function; of a class, its constructor's and its public methods'."""
    if inspect.isfunction(thing):
        yield name, inspect.signature(thing)
    elif inspect.isclass(thing) and not issubclass(thing, BaseException):
        yield name, inspect.signature(thing)
        for attribute in vars(thing):
            if not attribute.startswith("_") and inspect.isroutine(method := getattr(thing, attribute)):
                yield f"{name}.{attribute}", inspect.signature(method)


def _api_parameters() -> dict[str, set[str]]:
    """Each parameter name of the public API, with the functions and methods that have it."""
    found: dict[str, set[str]] = defaultdict(set)
    for thing in _public_names():
        place = (
            f"{thing.__module__.removeprefix('neurokit_snn.')}.{thing.__name__}" if callable(thing) else ""
        )
        for where, signature in _signatures(thing, place):
            for parameter in signature.parameters.values():
                if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                    found[parameter.name].add(where)
    found.pop("self", None)
    return dict(found)


@pytest.fixture(scope="module")
def parameters() -> dict[str, set[str]]:
    return _api_parameters()


@pytest.mark.parametrize(
    ("left", "right"),
    [("n_step", "num_steps"), ("unit", "units"), ("bin_width", "width_bin"), ("smoothing", "smoothng")],
)
def test_the_check_notices(left, right):
    assert near_duplicates({left, right}) == {frozenset((left, right))}


@pytest.mark.parametrize(
    ("left", "right"), [("x", "y"), ("start", "stop"), ("low", "now"), ("n_units", "n_trials")]
)
def test_the_check_lets_different_names_be(left, right):
    assert near_duplicates({left, right}) == set()


def test_the_walk_sees_functions_classes_and_methods(parameters):
    assert {"bin_width", "seed", "path", "folds"} <= set(parameters)
    assert any(where.endswith(".fit") for where in parameters["seed"])


def test_no_near_duplicates(parameters):
    found = near_duplicates(set(parameters))
    told = {
        " and ".join(sorted(pair)): {name: sorted(parameters[name])[:4] for name in pair}
        for pair in found - set(ALLOWED)
    }
    assert told == {}


def test_no_stale_exceptions(parameters):
    assert set(ALLOWED) <= near_duplicates(set(parameters))
    assert [(name, where) for name, where in OTHER_THING if where not in parameters[name]] == []


def test_no_synonyms_of_house_names(parameters):
    told = {
        f"{other} (say {name})": where[:4]
        for name, others in SYNONYMS.items()
        for other in sorted(others & set(parameters))
        if (where := sorted(w for w in parameters[other] if (other, w) not in OTHER_THING))
    }
    assert told == {}
