//! Proof for adapters and engines: conformance suites for every port, a history checker, proptest strategies and deliberately broken variants.
