//! Datasets, decoding, preprocessing, augmentation and batches.
