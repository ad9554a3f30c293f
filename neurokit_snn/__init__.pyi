from . import artefact as artefact
from . import catalog as catalog
from . import errors as errors
from . import evaluate as evaluate
from . import io as io
from . import models as models
from . import plot as plot
from . import recording as recording
from . import report as report
from . import testing as testing
from . import torchloop as torchloop
from .artefact import load as load
from .artefact import save as save
from .evaluate import compare as compare
from .evaluate import search as search
from .models import GLM as GLM
from .models import MMGPVAE as MMGPVAE
from .models import PSTH as PSTH
from .models import CEBRADecoder as CEBRADecoder
from .models import MeanRate as MeanRate
from .models import NaiveBayesDecoder as NaiveBayesDecoder
from .models import Neuroformer as Neuroformer
from .models import PSIDModel as PSIDModel
from .models import ReducedRankRegression as ReducedRankRegression
from .models import RidgeDecoder as RidgeDecoder
from .recording import splits as splits

__version__: str
