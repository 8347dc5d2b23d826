"""Decisions: strategies as plain files, checked, compiled, and explained. No I/O while deciding.

``Strategy.load`` reads and checks a folder, ``compile_strategy`` makes an engine of it, and the engine's
``decide`` turns an application into a decision with outcome, reasons in words and a tree.
"""

from tongzhou.decide.decision import Decision, Reason, TraceNode
from tongzhou.decide.engine import DecisionEngine, FastDecision, compile_strategy
from tongzhou.decide.expression import Condition, parse_condition
from tongzhou.decide.publishing import publish
from tongzhou.decide.strategy import (
    GRADES,
    OUTCOMES,
    Cutoff,
    Input,
    Rule,
    ScoreSource,
    Strategy,
    Words,
    example_strategy,
)

__all__ = [
    "GRADES",
    "OUTCOMES",
    "Condition",
    "Cutoff",
    "Decision",
    "DecisionEngine",
    "FastDecision",
    "Input",
    "Reason",
    "Rule",
    "ScoreSource",
    "Strategy",
    "TraceNode",
    "Words",
    "compile_strategy",
    "example_strategy",
    "parse_condition",
    "publish",
]
