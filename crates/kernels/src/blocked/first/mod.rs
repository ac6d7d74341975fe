//! The first layer: few channels in plain order in, blocked channels out.
