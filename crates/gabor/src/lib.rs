//! Convolutional networks, from pixels to understanding.
