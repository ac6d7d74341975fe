//! Layers, initialisers, the lectures' notation and the zoo of networks.
