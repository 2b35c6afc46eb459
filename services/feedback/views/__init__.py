"""What feedback lets others read.

tables.py      the read models, as functions of a case
queries.py     cases, the check queue
indicators.py  the figures of a period, and the cases behind each of them
"""

from services.feedback.views.tables import VIEWS

__all__ = ["VIEWS"]
