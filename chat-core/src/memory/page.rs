//! Pages of a log, bounded in number and bytes.

use crate::ports::PageLimit;

/// As many as both limits allow but at least one, and whether there are more.
pub(super) fn page<T>(
    mut entries: impl Iterator<Item = T>,
    limit: PageLimit,
    size_bytes: impl Fn(&T) -> usize,
) -> (Vec<T>, bool) {
    let (mut page, mut bytes) = (Vec::<T>::new(), 0_usize);
    for entry in entries.by_ref() {
        bytes = bytes.saturating_add(size_bytes(&entry));
        let is_full = page.len() >= limit.entries || bytes > limit.bytes;
        if is_full && !page.is_empty() {
            return (page, true);
        }
        page.push(entry);
    }
    (page, false)
}
