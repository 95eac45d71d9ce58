//! Objects that are put together from others.

use utoipa::ToSchema;
use utoipa::openapi::schema::{
    AllOfBuilder, AnyOfBuilder, Discriminator, Object, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::{Ref, RefOr};

/// What a schema refers to, by name.
pub(super) type Components = Vec<(String, RefOr<Schema>)>;

/// A reference to the type's schema.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    named(&T::name())
}

/// A reference to the schema of this name.
pub(super) fn named(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

/// Adds the type's schema, and whatever it refers to.
pub(super) fn add<T: ToSchema>(components: &mut Components) {
    components.push((T::name().into_owned(), T::schema()));
    T::schemas(components);
}

/// An object whose field is this text, which tells it from others.
pub(super) fn tag(field: &str, value: &str) -> ObjectBuilder {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([value]));
    Object::builder().property(field, text).required(field)
}

/// What is null wherever it is not absent, because something else stands for it.
pub(super) fn absent() -> Object {
    Object::with_type(Type::Null)
}

/// What has the fields of all of these.
pub(super) fn all_of(parts: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    let all = AllOfBuilder::new();
    parts.into_iter().fold(all, AllOfBuilder::item).into()
}

/// What is one of these or several.
pub(super) fn any_of(parts: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    let any = AnyOfBuilder::new();
    parts.into_iter().fold(any, AnyOfBuilder::item).into()
}

/// What is exactly one of these.
pub(super) fn one_of(parts: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    let one = OneOfBuilder::new();
    parts.into_iter().fold(one, OneOfBuilder::item).into()
}

/// What is exactly one of these named schemas; the field's value tells which.
pub(super) fn tagged<'a>(
    field: &str,
    variants: impl IntoIterator<Item = (Option<&'a str>, String)>,
    description: &str,
) -> RefOr<Schema> {
    let mut one = OneOfBuilder::new().description(Some(description));
    let mut mapping = Vec::new();
    for (value, name) in variants {
        one = one.item(named(&name));
        if let Some(value) = value {
            mapping.push((value, Ref::from_schema_name(name).ref_location));
        }
    }
    one.discriminator(Some(Discriminator::with_mapping(field, mapping)))
        .into()
}

/// The name of a schema that goes with a tag: `x_poll` and `Entry` make `XPollEntry`.
pub(super) fn name_of(tag: &str, suffix: &str) -> String {
    let words = tag.split('_').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars)
    });
    words.flatten().chain(suffix.chars()).collect()
}
