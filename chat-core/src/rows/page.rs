//! What fits into a page.

use crate::ports::PageLimit;

/// Items up to a limit of number and bytes; one at least.
#[derive(Debug)]
pub struct Page<T> {
    limit: PageLimit,
    /// What was taken.
    pub items: Vec<T>,
    /// Whether an item did not fit.
    pub full: bool,
    bytes: usize,
}

impl<T> Page<T> {
    /// An empty page.
    pub fn new(limit: PageLimit) -> Self {
        Self {
            limit,
            items: Vec::new(),
            full: false,
            bytes: 0,
        }
    }

    /// Takes the item if it fits; false: the page is full.
    pub fn take(&mut self, item: T, size_bytes: usize) -> bool {
        let bytes = self.bytes.saturating_add(size_bytes);
        let fits = self.items.len() < self.limit.entries && bytes <= self.limit.bytes;
        if fits || self.items.is_empty() {
            self.bytes = bytes;
            self.items.push(item);
        } else {
            self.full = true;
        }
        !self.full
    }
}
