//! An adapter with a layer around it.

use std::sync::Arc;

/// The port `P`, usually a `dyn` one, with the layer `L` around each of its calls; itself an adapter of that port.
pub struct Decorated<P: ?Sized, L> {
    pub(super) inner: Arc<P>,
    pub(super) layer: L,
}

impl<P: ?Sized, L> Decorated<P, L> {
    /// Puts `layer` around `inner`.
    pub fn with_layer(inner: Arc<P>, layer: L) -> Self {
        Self { inner, layer }
    }
}
