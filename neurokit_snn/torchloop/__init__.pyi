from .groups import parameter_groups as parameter_groups
from .history import History as History
from .loop import train as train
from .schedule import Schedule as Schedule
