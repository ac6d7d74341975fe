//! Direct convolution, forward and input gradient: register tiles over a list of taps.
