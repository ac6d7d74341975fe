//! One virtual vector of 16 `f32` on every instruction set, and the one place where the set is chosen.
//!
//! Kernels are written once, generic over [`Simd16`], as a value that implements [`Kernel`]; [`Isa::call`] runs it
//! compiled for the chosen set. Sums are defined on 16 virtual lanes with fused multiply-adds whatever the hardware's
//! width, so all sets give the same bits, but for WebAssembly's: it promises no fused multiply-add ([`Isa::is_exact`]).

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))]
mod quad;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

/// An instruction set that kernels can be run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm128,
}

impl Isa {
    /// No particular instructions: plain Rust with `f32::mul_add`. Runs everywhere, slowly.
    pub const PORTABLE: Isa = Isa(Set::Portable);

    /// The sets that this processor has, the best first. Never empty: the portable one ends the list.
    #[allow(clippy::vec_init_then_push)] // Which sets are asked for depends on the architecture.
    pub fn available() -> Vec<Isa> {
        let mut list = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
            {
                list.push(Isa(Set::Avx512));
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                list.push(Isa(Set::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        list.push(Isa(Set::Neon));
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        list.push(Isa(Set::Wasm128));
        list.push(Isa::PORTABLE);
        list
    }
    /// The best set that this processor has.
    pub fn best() -> Isa {
        Self::available()[0]
    }
    /// The set of that name, if this processor has it: `avx512`, `avx2`, `neon`, `wasm128` or `portable`.
    pub fn from_name(name: &str) -> Option<Isa> {
        Self::available().into_iter().find(|i| i.name() == name)
    }
    /// The lower-case name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Set::Wasm128 => "wasm128",
        }
    }
    /// Whether multiply-adds round once, as all sets but WebAssembly's do: given the same problem, exact sets give the same
    /// bits. `wasm128` rounds products and sums; with relaxed instructions it depends on the machine.
    pub fn is_exact(self) -> bool {
        self.name() != "wasm128"
    }
    /// Runs a kernel compiled for this set.
    ///
    /// # Safety
    /// The kernel's own contract (see its documentation) must hold.
    #[inline]
    pub(crate) unsafe fn call<K: Kernel>(self, kernel: K) -> K::Out {
        // SAFETY: an `Isa` is only handed out if the processor has it; the rest is the caller's promise.
        unsafe {
            match self.0 {
                Set::Portable => portable::Portable::call(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::Avx2::call(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::Avx512::call(kernel),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => neon::Neon::call(kernel),
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Set::Wasm128 => wasm::Wasm128::call(kernel),
            }
        }
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A computation that can be compiled for any instruction set. `run` must be `#[inline(always)]`, so that it takes on
/// the instruction set of its caller.
pub(crate) trait Kernel {
    /// What it returns.
    type Out;
    /// Does it.
    ///
    /// # Safety
    /// The processor must have the set `S`; kernels add their own conditions.
    unsafe fn run<S: Simd16>(self) -> Self::Out;
}

/// Sixteen `f32` in registers. Names and semantics are those of the scalar operations, lane by lane; the bitwise and
/// integer operations take a lane as its 32 bits.
///
/// # Safety
/// Every function demands that the processor has the instruction set. Those with a pointer demand that the lanes they
/// touch are valid to read or write; there is no alignment to keep.
#[allow(clippy::missing_safety_doc)]
pub(crate) trait Simd16: Copy + 'static {
    /// Sixteen numbers.
    type V: Copy;
    /// Sixteen truth values.
    type M: Copy;
    /// Whether there are 32 registers of 16 lanes, so that large register tiles pay.
    const WIDE: bool;

    /// Runs a kernel compiled for this set, as a function of its own.
    unsafe fn call<K: Kernel>(kernel: K) -> K::Out;

    unsafe fn splat(v: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// As `store`, past the caches where the set can: for what is not read soon. `p` lies on a cache line, and a
    /// [`Simd16::fence`] follows before another thread may read.
    #[inline(always)]
    unsafe fn stream(p: *mut f32, v: Self::V) {
        // SAFETY: as this function.
        unsafe { Self::store(p, v) }
    }
    /// Lets all that was streamed become visible before later stores.
    #[inline(always)]
    unsafe fn fence() {}
    /// The first `m < 16` lanes from memory, zero in the others.
    unsafe fn load_part(p: *const f32, m: usize) -> Self::V;
    /// The first `m < 16` lanes to memory.
    unsafe fn store_part(p: *mut f32, v: Self::V, m: usize);

    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// a·b + c with one rounding, if the set is exact.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a·b + c whose product is not rounded on any set: for differences that cancel.
    #[inline(always)]
    unsafe fn fma_whole(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: as this function.
        unsafe { Self::fma(a, b, c) }
    }
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `a` where a > b, else `b` (so `b` where one is NaN).
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a` where a < b, else `b` (so `b` where one is NaN).
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;

    unsafe fn gt(a: Self::V, b: Self::V) -> Self::M;
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M;
    unsafe fn is_nan(a: Self::V) -> Self::M;
    /// `a` where the mask is set, else `b`.
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V;

    unsafe fn and(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn or(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn xor(a: Self::V, b: Self::V) -> Self::V;
    /// Wrapping sum of the lanes as integers.
    unsafe fn add_int(a: Self::V, b: Self::V) -> Self::V;
    /// Wrapping difference of the lanes as integers.
    unsafe fn sub_int(a: Self::V, b: Self::V) -> Self::V;
    /// Shift of the bits by 23 to the left: an integer becomes an exponent.
    unsafe fn to_exponent(a: Self::V) -> Self::V;
    /// Shift of the bits by 23 to the right, zeros move in: an exponent (with sign) becomes an integer.
    unsafe fn from_exponent(a: Self::V) -> Self::V;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: as this function.
        unsafe { Self::splat(0.0) }
    }
    /// All lanes with the bits `b`.
    #[inline(always)]
    unsafe fn bits(b: u32) -> Self::V {
        // SAFETY: as this function.
        unsafe { Self::splat(f32::from_bits(b)) }
    }
    /// The first `m ≤ 16` lanes.
    #[inline(always)]
    unsafe fn load_up_to(p: *const f32, m: usize) -> Self::V {
        // SAFETY: as this function.
        unsafe { if m == 16 { Self::load(p) } else { Self::load_part(p, m) } }
    }
    /// The first `m ≤ 16` lanes.
    #[inline(always)]
    unsafe fn store_up_to(p: *mut f32, v: Self::V, m: usize) {
        // SAFETY: as this function.
        unsafe { if m == 16 { Self::store(p, v) } else { Self::store_part(p, v, m) } }
    }
    /// The lanes as an array.
    #[inline(always)]
    unsafe fn lanes(v: Self::V) -> [f32; 16] {
        let mut a = [0.0; 16];
        // SAFETY: the array has 16 elements.
        unsafe { Self::store(a.as_mut_ptr(), v) };
        a
    }
    /// The sum of all lanes, in the fixed order of a binary tree.
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: as this function.
        tree(unsafe { Self::lanes(v) }, |a, b| a + b)
    }
    /// The lanes with even numbers of `a`, then those of `b`.
    #[inline(always)]
    unsafe fn even(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: as this function.
        unsafe {
            let (a, b) = (Self::lanes(a), Self::lanes(b));
            let mut to = [0f32; 16];
            for i in 0..8 {
                to[i] = a[2 * i];
                to[8 + i] = b[2 * i];
            }
            Self::load(to.as_ptr())
        }
    }
    /// The lanes with odd numbers of `a`, then those of `b`.
    #[inline(always)]
    unsafe fn odd(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: as this function.
        unsafe {
            let (a, b) = (Self::lanes(a), Self::lanes(b));
            let mut to = [0f32; 16];
            for i in 0..8 {
                to[i] = a[2 * i + 1];
                to[8 + i] = b[2 * i + 1];
            }
            Self::load(to.as_ptr())
        }
    }
    /// Lanes of `a` and `b` in turn: 32 of them, the adjoint of [`Simd16::even`] and [`Simd16::odd`].
    #[inline(always)]
    unsafe fn interleave(a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: as this function.
        unsafe {
            let (a, b) = (Self::lanes(a), Self::lanes(b));
            let mut to = [0f32; 32];
            for i in 0..16 {
                to[2 * i] = a[i];
                to[2 * i + 1] = b[i];
            }
            (Self::load(to.as_ptr()), Self::load(to.as_ptr().add(16)))
        }
    }
    /// Lane `l` receives lane `from[l]` of `a` (a number as bits), which must lie in the same half of 8 lanes as `l`.
    #[inline(always)]
    unsafe fn permute(a: Self::V, from: Self::V) -> Self::V {
        // SAFETY: as this function.
        unsafe {
            let a = Self::lanes(a);
            let to = Self::lanes(from).map(|l| a[l.to_bits() as usize % 16]);
            Self::load(to.as_ptr())
        }
    }
    /// Rows become columns.
    #[inline(always)]
    unsafe fn transpose(rows: [Self::V; 16]) -> [Self::V; 16] {
        let mut from = [[0f32; 16]; 16];
        let mut to = [[0f32; 16]; 16];
        // SAFETY: the arrays have 16 elements each.
        unsafe {
            for (a, v) in from.iter_mut().zip(rows) {
                Self::store(a.as_mut_ptr(), v);
            }
            for i in 0..16 {
                for j in 0..16 {
                    to[j][i] = from[i][j];
                }
            }
            let mut out = rows;
            for (v, a) in out.iter_mut().zip(&to) {
                *v = Self::load(a.as_ptr());
            }
            out
        }
    }
}

/// Joins 16 values by a binary tree: lane i with lane i + 8, then i + 4, i + 2, i + 1.
#[inline(always)]
pub(crate) fn tree<T: Copy>(mut a: [T; 16], join: impl Fn(T, T) -> T) -> T {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            a[i] = join(a[i], a[i + half]);
        }
    }
    a[0]
}

#[cfg(test)]
mod tests;
