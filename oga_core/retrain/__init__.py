"""Retrain and compare: nothing changed, trimmed, trimmed at random, relabelled."""

from oga_core.retrain.verification import verify

__all__ = ["verify"]
