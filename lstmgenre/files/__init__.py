"""Files and directories on disk. What is written is whole or not there at all:

writing        a file, written through no link
directories    a directory, filled and then put in its place
temporary      what both are until then
reading        a file, if it is one and of a size to be read

A data or experiment directory may come from a stranger. What a command writes in it, it writes by `atomic_output`,
which puts a new file in the place of a link, or by `open_own` (a log by `open_log`), which refuses one. A directory
that is a link is followed, as recipes spread storage over disks, but not one that only commands make: `own_directory`.
What the user names on the command line may be a link: tables.open_output follows it.
"""

from lstmgenre.files.directories import atomic_directory, check_directory, check_writable, exclusive, own_directory
from lstmgenre.files.reading import open_fifo, read_all, read_file, state_of
from lstmgenre.files.temporary import in_temporary_directory
from lstmgenre.files.writing import atomic_output, open_log, open_own

__all__ = [
    "atomic_directory",
    "atomic_output",
    "check_directory",
    "check_writable",
    "exclusive",
    "in_temporary_directory",
    "open_fifo",
    "open_log",
    "open_own",
    "own_directory",
    "read_all",
    "read_file",
    "state_of",
]
