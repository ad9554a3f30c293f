from . import intervals as intervals
from . import metrics as metrics
from . import nulls as nulls
from .comparison import compare as compare
from .scoring import score as score
