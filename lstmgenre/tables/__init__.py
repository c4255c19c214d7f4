"""Kaldi tables: archives of (key, value), the scripts that point into them, and text maps; strict, safe, streamed.

    with TableWriter("ark,scp:feats.ark,feats.scp") as table:
        for utterance, features in read_table("scp:raw.scp"):
            table.write(utterance, features * 2)

A value is in memory while it is used and no longer. No archive can run code; a file list can (`cmd |`), unless
LSTMGENRE_NO_PIPES=1 is set. Grammar and formats are Kaldi's.
"""

from lstmgenre.tables.maps import file_lines, numbered_lines, read_map, write_map
from lstmgenre.tables.opening import NO_PIPES, open_input, open_output
from lstmgenre.tables.reading import Table, file_of, files_of, first_file, open_table, read_script, read_table
from lstmgenre.tables.rules import Kind, check_key
from lstmgenre.tables.writing import TableWriter

__all__ = [
    "NO_PIPES",
    "Kind",
    "Table",
    "TableWriter",
    "check_key",
    "file_lines",
    "file_of",
    "files_of",
    "first_file",
    "numbered_lines",
    "open_input",
    "open_output",
    "open_table",
    "read_map",
    "read_script",
    "read_table",
    "write_map",
]
