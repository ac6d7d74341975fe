//! What sets of four registers of 4 lanes share.

/// Methods whose body is one expression of intrinsics per register `i`.
macro_rules! by_register {
    ($($name:ident($($a:ident: $t:ty),*) -> $r:ty = |$i:ident| $body:expr;)*) => { $(
        #[inline(always)]
        #[allow(unused_unsafe)] // Some intrinsics are safe wherever their set is the target's.
        unsafe fn $name($($a: $t),*) -> $r {
            // SAFETY: the caller promises that the processor has the set and that pointers are valid.
            unsafe {
                [
                    { let $i = 0; $body },
                    { let $i = 1; $body },
                    { let $i = 2; $body },
                    { let $i = 3; $body },
                ]
            }
        }
    )* };
}
pub(super) use by_register;

/// Sixteen rows of four registers as columns, given how four registers are transposed.
#[inline(always)]
pub(super) fn transpose<Q: Copy>(rows: [[Q; 4]; 16], four: impl Fn([Q; 4]) -> [Q; 4]) -> [[Q; 4]; 16] {
    let mut out = rows;
    for i in 0..4 {
        for j in 0..4 {
            let block = four([rows[4 * i][j], rows[4 * i + 1][j], rows[4 * i + 2][j], rows[4 * i + 3][j]]);
            for (k, q) in block.into_iter().enumerate() {
                out[4 * j + k][i] = q;
            }
        }
    }
    out
}
