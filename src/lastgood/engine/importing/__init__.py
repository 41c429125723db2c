"""Bringing another registry's content here as it was: ids, numbers, times, whole histories.

Everything may be repeated: what is here already is left as it is, so that an import that broke off
is simply run again. A run, a logged model and a version are there as a whole or not at all.
"""

from lastgood.engine.importing.importing import Importing

__all__ = ["Importing"]
