//! Incidents for table tests.

use crate::model::{
    Facts, INCIDENT_SCHEMA, Lost, Mechanism, Outcome, OutcomeKind, Process, Scope, SendResult, SiCode, Signal,
};
use crate::signals;
