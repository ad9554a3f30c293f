from .access import cache_folder as cache_folder
from .access import list as list
from .access import open as open
from .entries import DataFile as DataFile
from .entries import Entry as Entry
