from .layout import LossWarning as LossWarning
from .nwb import read_nwb as read_nwb
from .nwb import write_nwb as write_nwb
