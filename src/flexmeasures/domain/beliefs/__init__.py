"""Beliefs: values about events, held at a time, by a source. Timing, selection and resampling as pure code.

``belief_time + belief_horizon = knowledge_time`` holds for every belief, see `timing`.
"""

from flexmeasures.domain.beliefs.frame import (
    MEDIAN,
    Beliefs,
    InsertPolicy,
    check_distributions,
    latest_per_event,
    select_as_of,
)
from flexmeasures.domain.beliefs.resampling import (
    bin_edges,
    infer_repetition,
    mean_per_bin,
    repeat_values,
)
from flexmeasures.domain.beliefs.series import Series
from flexmeasures.domain.beliefs.timing import (
    AtDate,
    DaysAgo,
    ExAnte,
    ExPost,
    KnowledgeRule,
    belief_horizons,
    belief_times,
    parse_knowledge_rule,
)
from flexmeasures.domain.beliefs.trust import TRUSTED_ROLES, Speaker, trusted_source_ids

__all__ = [
    "MEDIAN",
    "TRUSTED_ROLES",
    "AtDate",
    "Beliefs",
    "DaysAgo",
    "ExAnte",
    "ExPost",
    "InsertPolicy",
    "KnowledgeRule",
    "Series",
    "Speaker",
    "belief_horizons",
    "belief_times",
    "bin_edges",
    "check_distributions",
    "infer_repetition",
    "latest_per_event",
    "mean_per_bin",
    "parse_knowledge_rule",
    "repeat_values",
    "select_as_of",
    "trusted_source_ids",
]
