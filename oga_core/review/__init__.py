"""What people decided, in SQLite: an append-only log, undo, several reviewers."""

from oga_core.review.decisions import Decision
from oga_core.review.store import ReviewStore

__all__ = ["Decision", "ReviewStore"]
