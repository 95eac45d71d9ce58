//! Structs whose fields stand beside others in one object: an answer beside `op` and `id`, a message beside the
//! fields that every entry has.
//!
//! Serde's own `flatten` gives up the number of fields, which MessagePack writes first, and so copies every such
//! object once more. Here the number is known before anything is written.

use serde::de::Deserializer;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// Fields of an object that may hold others besides.
pub(crate) trait Fields {
    /// How many `write` will write.
    fn count(&self) -> usize;

    /// Writes them.
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// No fields at all.
impl Fields for () {
    fn count(&self) -> usize {
        0
    }

    fn write<M: SerializeMap>(&self, _: &mut M) -> Result<(), M::Error> {
        Ok(())
    }
}

/// Writes an object that holds these fields only.
pub(crate) fn serialize<S: Serializer>(
    fields: &impl Fields,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.count()))?;
    fields.write(&mut map)?;
    map.end()
}

/// Whether an optional field is written.
pub(crate) trait Present {
    fn is_present(&self) -> bool;
}

impl<T> Present for Option<T> {
    fn is_present(&self) -> bool {
        self.is_some()
    }
}

impl<T> Present for Vec<T> {
    fn is_present(&self) -> bool {
        !self.is_empty()
    }
}

impl<K, V> Present for std::collections::BTreeMap<K, V> {
    fn is_present(&self) -> bool {
        !self.is_empty()
    }
}

impl Present for bool {
    fn is_present(&self) -> bool {
        *self
    }
}

impl Present for u32 {
    fn is_present(&self) -> bool {
        *self != 0
    }
}

/// Implements [`Fields`] and `Serialize` for a struct: `always` names the fields that are always written,
/// `present` those that are left out while empty. A field that is named in neither does not compile.
macro_rules! flat {
    ($type:ident {
        always: $($always:ident $(as $always_name:literal)?),*;
        present: $($maybe:ident),*;
    }) => {
        impl $crate::flat::Fields for $type {
            fn count(&self) -> usize {
                let Self { $($always: _,)* $($maybe,)* } = self;
                let always: &[&str] = &[$(stringify!($always)),*];
                let present: &[bool] = &[$($crate::flat::Present::is_present($maybe)),*];
                always.len() + present.iter().filter(|present| **present).count()
            }

            fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(map.serialize_entry($crate::flat::flat!(@name $always $($always_name)?), &self.$always)?;)*
                $(if $crate::flat::Present::is_present(&self.$maybe) {
                    map.serialize_entry(stringify!($maybe), &self.$maybe)?;
                })*
                Ok(())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::flat::serialize(self, serializer)
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}
pub(crate) use flat;

/// Writes one object from a first part and what follows it.
pub(crate) struct Joined<'a, A, B>(pub(crate) &'a A, pub(crate) &'a B);

impl<A: Fields, B: Fields> Serialize for Joined<'_, A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.count() + self.1.count()))?;
        self.0.write(&mut map)?;
        self.1.write(&mut map)?;
        map.end()
    }
}

/// Reads a field that may be left out: null is the same as absent.
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
