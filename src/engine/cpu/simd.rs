//! Passes over values as SIMD code.

use pulp::{Arch, Simd, WithSimd};

/// Runs a pass compiled for the machine's SIMD level; the closure must be `#[inline(always)]`.
///
/// `Arch::dispatch` calls a closure by `FnOnce`. Where the closure consumes nothing, that is through
/// a shim, which the compiler leaves out of line where the pass is long: it is then compiled for the
/// least level. A call by `FnMut` needs no shim.
pub fn dispatch(arch: Arch, pass: impl FnMut()) {
    arch.dispatch(Pass(pass));
}

struct Pass<F>(F);

impl<F: FnMut()> WithSimd for Pass<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}
