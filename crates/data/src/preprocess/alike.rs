//! Whether the pictures of a data set are small and of one size, as those of MNIST and CIFAR are when they lie in files.

use crate::{Dataset, Header, Stored};

/// Rows and columns up to which pictures are taken for small ones; photographs are larger, even where all have one size.
const SMALL: usize = 64;
/// Headers that are read at most, evenly spaced, as many as mean and standard deviation are taken from.
const LOOKED_AT: usize = 4096;
/// The same where each is a request: still so many that photographs pass for pictures of one size by no chance.
const ASKED_FOR: usize = 256;

/// The extents [c, h, w] that a data set's pictures share: those that it knows, or those that the headers of its files say
/// where all that are looked at (4096 at most, evenly spaced; 256 in an object store) are of one size of at most 64 × 64. `None` for photographs,
/// whatever their sizes, and for files that differ. One channel where all are grey. Files that cannot be read say nothing.
///
/// ```
/// assert_eq!(gabor_data::common_shape(&**gabor_data::digits().train().unwrap()), Some([1, 8, 8]));
/// ```
pub fn common_shape(dataset: &dyn Dataset) -> Option<[usize; 3]> {
    if let Some(known) = dataset.shape() {
        return Some(known);
    }
    let (n, mut found): (_, Option<[usize; 3]>) = (dataset.len(), None);
    let count = n.min(if dataset.is_remote() { ASKED_FOR } else { LOOKED_AT });
    for k in 0..count {
        let i = (k as u128 * n as u128 / count as u128) as usize;
        let Ok(bytes) = dataset.encoded(i) else { continue };
        // Samples that are no files and of unknown extents are left to the general case.
        let Ok(header) = Header::read(&bytes?) else { continue };
        let (h, w) = (header.height as usize, header.width as usize);
        let [h, w] = if header.orientation >= 5 { [w, h] } else { [h, w] };
        let c = if matches!(header.stored, Stored::Grey | Stored::GreyAlpha) { 1 } else { 3 };
        match &mut found {
            None if h.max(w) <= SMALL => found = Some([c, h, w]),
            Some([channels, own_h, own_w]) if [*own_h, *own_w] == [h, w] => *channels = c.max(*channels),
            _ => return None,
        }
    }
    found
}
