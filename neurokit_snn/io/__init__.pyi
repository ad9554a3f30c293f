from .layout import LossWarning as LossWarning
from .neo import from_neo as from_neo
from .neo import to_neo as to_neo
from .nwb import read_nwb as read_nwb
from .nwb import write_nwb as write_nwb
from .pynapple import from_pynapple as from_pynapple
from .pynapple import to_pynapple as to_pynapple
