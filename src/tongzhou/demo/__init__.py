"""The demonstration: three institutions on one machine, real data, one joint scorecard, and proof of it."""
