"""Partners of an installation: entries in a file of their own, and two topics and a user for each.

__main__      `python -m deploy.partners add | remove | list`, which `make partner` runs
registration  register and unregister: what there is to do, in which order
entries       the rules of an entry, all of them told at once; pure
passing       a partner that is registered only while a program of ours runs
file          reads the file and changes it: one change at a time, each as a whole or not at all

The services read the file again whenever it changes; nothing needs to be started again.
"""

from deploy.partners.entries import Unacceptable, Wanted
from deploy.partners.file import read
from deploy.partners.passing import clear, passing
from deploy.partners.registration import Installation, Issued, as_partner, register, unregister

__all__ = [
    "Installation",
    "Issued",
    "Unacceptable",
    "Wanted",
    "as_partner",
    "clear",
    "passing",
    "read",
    "register",
    "unregister",
]
