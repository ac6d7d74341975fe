//! Depthwise and grouped convolution.
