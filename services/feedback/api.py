"""Feedback over HTTP: the check queue, verdicts, ratings, cases, indicators, formulas."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from chassis.commands import Request, Unusable
from chassis.http import Cursor, Json, Limit, NotFound, answer, caller_of, command_request, decode_cursor, page
from chassis.identity import ANYONE, Caller
from chassis.runtime import Runtime
from contracts.envelope import Event
from contracts.fields import AreaPath, CaseId, Instant
from contracts.feedback import CaseOutcome
from contracts.triage import CheckMethod
from services.feedback.domain import Case, Command, FailCheck, ForceClose, PassCheck, Person, Rate
from services.feedback.domain.formulas import FORMULAS
from services.feedback.messages import (
    CasePage,
    CaseShown,
    CheckPage,
    CheckResult,
    FormulaPage,
    ForcedClosing,
    IndicatorPage,
    RatingGiven,
    RatingTaken,
    VerdictGiven,
)
from services.feedback.views import indicators, queries
from services.feedback.views.indicators import FIGURES, By, Level, Population, Question
from services.feedback.views.tables import Status, status_of
