from . import model_suite as model_suite
from . import strategies as strategies
from .equality import assert_recordings_equal as assert_recordings_equal
from .known_loadings import known_loading_latents as known_loading_latents
from .strategies import binned as binned
from .strategies import recordings as recordings
from .strategies import spike_trains as spike_trains
