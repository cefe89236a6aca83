//! Why the target died: a pure function of the facts, one rule per cause.
