"""Open databases: who they show, how they are labelled, what to beware of, and how to get them whole."""

from heartbert.databases.catalogue import DATABASES, Database, find_database
from heartbert.databases.downloading import download
from heartbert.databases.folders import DatabaseFolder, identify, open_folder
from heartbert.databases.labelling import labels, read_stages
from heartbert.databases.verifying import verify
from heartbert.errors import DatabaseError

__all__ = [
    "DATABASES",
    "Database",
    "DatabaseError",
    "DatabaseFolder",
    "download",
    "find_database",
    "identify",
    "labels",
    "open_folder",
    "read_stages",
    "verify",
]
