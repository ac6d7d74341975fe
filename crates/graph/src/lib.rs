//! Networks as graphs of operations: nodes, builder, validation, gradients.
