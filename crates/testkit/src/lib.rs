//! Test support: gradient checks and conformance of every backend and candidate.
